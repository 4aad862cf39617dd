package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"golang.org/x/sys/unix"
)

// breaks is how often each way to break a stream is tried with each kind of consumer.
const breaks = 200

// pipeRows make a database of some 1.6 MB. Pipes and buffers can hold at most half of that.
const pipeRows = 5_000

// committer is the role of a consumer that takes EOF for the end of the stream.
const committer = "committer"

// commit is what rclone, kopia or aws do: everything up to the end of input gets the final name.
func commit(string) error {
	out, err := os.OpenFile("t", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, os.Stdin); err != nil {
		return err
	}
	return os.Rename("t", "final")
}

var committers = []struct {
	name string
	argv []string
}{
	{"shell", []string{"sh", "-c", "cat > t && mv t final"}},
	{"program", []string{"env", testkit.RoleVariable + "=" + committer, os.Args[0]}},
}

// However the stream breaks, a consumer that commits at EOF never does, and no process and no file
// is left. What it writes goes into a named pipe that the test reads, so every break is in the
// middle of the stream.
func TestPipeBreaks(t *testing.T) {
	source := harness.NewBench(t)
	source.NewDatabase("app.db", pipeRows)
	for _, how := range []struct {
		name  string
		code  int // exit status of the main process; 0 for any failure of its own
		times int
		hit   func(r *pipeRun)
	}{
		{"killed", 128 + int(syscall.SIGKILL), breaks, func(r *pipeRun) { r.Signal(syscall.SIGKILL) }},
		{"cut", 0, breaks, func(r *pipeRun) { r.Check(cutCopy(r.Cmd.Process.Pid)) }},
		{"terminated", 128 + int(syscall.SIGTERM), breaks / 4, (*pipeRun).terminate},
		{"guard killed", 1, breaks / 4, (*pipeRun).killGuard},
	} {
		for _, consumer := range committers {
			t.Run(how.name+"/"+consumer.name, func(t *testing.T) {
				t.Parallel()
				b := harness.NewBench(t)
				for range how.times {
					r := startPipe(b, source.Path("app.db"), consumer.argv)
					r.read(1 + rand.Int64N(harness.Size(source.Path("app.db"))/3))
					how.hit(r)
					r.mustBreak(how.code)
				}
				t.Logf("%d streams broken, none committed", how.times)
			})
		}
	}
}

// Without a break, the same consumers commit.
func TestPipeCommits(t *testing.T) {
	for _, consumer := range committers {
		t.Run(consumer.name, func(t *testing.T) {
			b := harness.NewBench(t)
			b.NewDatabase("app.db", pipeRows)
			r := startPipe(b, b.Path("app.db"), consumer.argv)
			stream, err := io.ReadAll(r.out)
			b.Check(err)
			r.Wait().Exits(0)
			if harness.Size(b.Path("final")) < 0 {
				t.Error("not committed")
			}
			b.Write("stream", stream)
			b.Run("verify", "stream").Exits(0)
		})
	}
}

// A pipeRun is a run of pipe whose consumer writes what it reads to a named pipe, where the test
// reads it.
type pipeRun struct {
	*harness.Process
	mark string
	out  *os.File
}

func startPipe(b *harness.Bench, db string, argv []string) *pipeRun {
	b.Helper()
	b.Check(unix.Mkfifo(b.Path("t"), 0o600))
	cmd := b.Command(append([]string{"pipe", "--grace", "1s", db, "--"}, argv...)...)
	r := &pipeRun{mark: "SQLITE_CHECKPOINT_TEST_MARK=" + strconv.FormatUint(rand.Uint64(), 36)}
	cmd.Env = append(cmd.Env, r.mark)
	r.Process = b.Launch(cmd)
	var err error
	r.out, err = os.Open(b.Path("t")) // returns when the consumer has opened it, too
	b.Check(err)
	b.Cleanup(func() { r.out.Close() })
	return r
}

// read reads so many bytes. Pipes and buffers cannot hold the rest, so the stream is not at its
// end.
func (r *pipeRun) read(n int64) {
	r.Helper()
	_, err := io.CopyN(io.Discard, r.out, n)
	r.Check(err)
}

// cutCopy empties the private copy of a process, as a failing disk would.
func cutCopy(pid int) error {
	path := harness.PrivateCopy(pid)
	if path == "" {
		return errors.New("the copy is not open")
	}
	return os.Truncate(path, 0)
}

// terminate also waits: the program may be doing anything when the signal arrives, and may end
// successfully.
func (r *pipeRun) terminate() {
	r.Helper()
	r.Signal(syscall.SIGTERM)
	<-r.Ended
}

// killGuard kills the guard, the one child of the main process, and waits until it is dead: until
// then the main process continues, and if its reader continued, too, the stream could still become
// complete.
func (r *pipeRun) killGuard() {
	r.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.Cmd.Process.Pid))
	r.Check(err)
	for _, file := range files {
		children, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(children))); err == nil {
			r.Check(unix.Kill(pid, unix.SIGKILL))
			harness.Eventually(r, "the guard is dead", func() bool {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				return err != nil || bytes.Contains(stat, []byte(") Z "))
			})
			return
		}
	}
	r.Fatal("there is no guard")
}

// mustBreak fails the test if the consumer has committed, or anything is left. It reads everything
// that is still in the pipes, so that no process waits for the test.
func (r *pipeRun) mustBreak(code int) {
	r.Helper()
	if _, err := io.Copy(io.Discard, r.out); err != nil {
		r.Error(err)
	}
	r.out.Close()
	o := r.Wait()
	if o.Code != code && (code != 0 || o.Code == 0 || o.Code >= 126) {
		r.Errorf("%s: exit status %d, want %d: %s", o.Command, o.Code, code, o.Stderr)
	}
	harness.Eventually(r, "no process survives", func() bool { return len(harness.Marked(r.mark)) == 0 })
	if _, err := os.Lstat(r.Path("final")); !errors.Is(err, fs.ErrNotExist) {
		r.Fatal("committed a broken stream")
	}
	r.Check(os.Remove(r.Path("t")))
	r.Tidy()
}
