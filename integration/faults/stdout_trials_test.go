package faults

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// onTerminal runs a command line on a terminal of its own.
func (s *scene) onTerminal(line string) *aftermath {
	s.Helper()
	before := testkit.TakePicture(s.TB, s.source)
	cmd := exec.Command(harness.Tool(s.TB, "script"), "--quiet", "--return", "--command", line, "/dev/null")
	cmd.Stdin = nil
	out, err := cmd.CombinedOutput()
	before.MustMatch(s.TB, s.source)
	if cmd.ProcessState == nil {
		s.Fatal(err)
	}
	s.tally.add(codeName(cmd.ProcessState.ExitCode()), 1)
	return &aftermath{scene: s, code: cmd.ProcessState.ExitCode(), stdout: out}
}

func stalledReader(s *scene) {
	s.big()
	for _, flags := range [][]string{nil, {"--zstd"}} {
		args := append(append([]string{"backup", "--timeout", "3s"}, flags...), s.db, "-")
		p := s.start(trial{args: args, stall: true, moves: true, sends: true, codes: []int{codeOutput},
			says: []string{"no progress at the output"}})
		p.sending()
		s.SQLite(s.db, ".timeout 100", "INSERT INTO t(v) VALUES('free');")
		if o := p.finish(); o.elapsed < 3*time.Second {
			s.Errorf("it gave up after %v", o.elapsed)
		}
	}
}

func fifoWithoutReader(s *scene) {
	s.rollback()
	fifo := filepath.Join(s.Root, "fifo")
	s.Check(syscall.Mkfifo(fifo, 0o644))
	o := s.try(trial{args: []string{"backup", "--timeout", "500ms", s.db, fifo}, codes: []int{codeOutput},
		says: []string{fifo, "no reader"}})
	if o.elapsed < 500*time.Millisecond {
		s.Errorf("it gave up after %v", o.elapsed)
	}
	p := s.start(trial{args: []string{"backup", s.db, fifo}})
	time.Sleep(300 * time.Millisecond)
	received, err := os.ReadFile(fifo)
	s.Check(err)
	p.finish()
	s.Check(readStream(received, stream.ReaderOptions{}))
}

// sharedFIFO: two streams in one pipe, mixed or one after the other, never pass as one whole
// stream.
func sharedFIFO(s *scene) {
	s.big()
	fifo := filepath.Join(s.Root, "fifo")
	s.Check(syscall.Mkfifo(fifo, 0o644))
	for range 3 {
		reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		s.Check(err)
		keep, err := os.OpenFile(fifo, os.O_WRONLY, 0) // so that the reader sees no end before both have begun
		s.Check(err)
		a := s.start(trial{args: []string{"backup", s.db, fifo}})
		b := s.start(trial{args: []string{"backup", s.db, fifo}})
		var received bytes.Buffer
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(&received, reader)
		}()
		harness.Eventually(a, "the end of both", func() bool { return a.over() && b.over() })
		keep.Close()
		<-done
		reader.Close()
		// Each takes a picture of the temporary directory, which the other one uses.
		a.trial.litter, b.trial.litter = true, true
		a.finish()
		b.finish()
		s.try(trial{args: []string{"verify", "-"}, stdin: &received, codes: []int{codeStream},
			says: []string{"verify -"}})
	}
	if left := s.left(s.Temp); left > 0 {
		s.Errorf("%d private directories are left", left)
	}
}

// failingProducer: a backup that fails leaves no archive where the consumer runs the producer.
func failingProducer(s *scene) {
	s.rollback()
	s.patch(3*4096, make([]byte, 4096)...)
	repo := filepath.Join(s.Root, "repo")
	env := append(os.Environ(), "RESTIC_PASSWORD=x", "BORG_PASSPHRASE=x", "BORG_BASE_DIR="+s.Root, "HOME="+s.Root,
		"TMPDIR="+s.Temp, "RESTIC_CACHE_DIR="+filepath.Join(s.Root, "cache"))
	shell := func(line string) (string, error) {
		cmd := exec.Command("bash", "-c", "set -o pipefail; "+line)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		s.tally.add(codeName(cmd.ProcessState.ExitCode()), 1)
		return string(out), err
	}
	before := testkit.TakePicture(s.TB, s.source)
	restic, borg := harness.Tool(s.TB, "bin/restic"), harness.Tool(s.TB, "borg")
	for _, c := range []struct{ init, backup, list, empty string }{
		{restic + " -r " + repo + ".restic init",
			restic + " -r " + repo + ".restic backup --stdin-filename app.db --stdin-from-command -- " + s.Program +
				" backup " + s.db + " -",
			restic + " -r " + repo + ".restic snapshots --json", "[]"},
		{borg + " init -e none " + repo + ".borg",
			borg + " create --content-from-command " + repo + ".borg::app -- " + s.Program + " backup " + s.db + " -",
			borg + " list --short " + repo + ".borg", ""},
	} {
		if out, err := shell(c.init); err != nil {
			s.Fatalf("%v: %s", err, out)
		}
		if out, err := shell(c.backup); err == nil || !strings.Contains(out, "sqlite-checkpoint: error: ") {
			s.Errorf("%s succeeded: %s", c.backup, out)
		}
		if out, err := shell(c.list); err != nil || strings.TrimSpace(out) != c.empty {
			s.Errorf("an archive was made: %s (%v)", out, err)
		}
	}
	if out, err := shell(s.Program + " backup " + s.db + " - | cat >/dev/null"); err == nil {
		s.Errorf("a pipe with pipefail succeeded: %s", out)
	}
	before.MustMatch(s.TB, s.source)
}

// grudgingOutput writes to descriptors that are non-blocking and accept little at a time.
func grudgingOutput(s *scene) {
	s.big()
	for _, flags := range [][]string{nil, {"--zstd"}, {"--timeout", "1m"}} {
		args := append(append([]string{"backup"}, flags...), s.db, "-")
		s.part(fmt.Sprint("pipe ", flags), func(part *scene) {
			var fds [2]int
			s.Check(unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
			s.grudging(args, fds[0], fds[1])
		})
		s.part(fmt.Sprint("socket ", flags), func(part *scene) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			s.Check(err)
			s.Check(unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 4096))
			s.grudging(args, fds[0], fds[1])
		})
	}
	s.part("EINTR", func(part *scene) {
		s := part
		s.rollback()
		path := filepath.Join(s.Root, "stdout")
		for _, when := range []string{"1", "2", "1+2", "2+3"} {
			f, err := os.Create(path)
			s.Check(err)
			o := s.try(trial{stdout: f, under: s.strace("-P", path, "-e", "trace=write", "-e",
				"inject=write:error=EINTR:when="+when)})
			s.Check(f.Close())
			if err := readStream(s.Read(path), stream.ReaderOptions{}); err != nil {
				s.Errorf("after EINTR at %s: %v", when, err)
			}
			if when == "1" && o.injected() == 0 {
				s.Error("nothing was injected")
			}
		}
	})
}

// grudging runs the program with stdout on w, reads little at a time from r, and checks that a
// whole stream arrives. The mode of w, which others share, must stay as it is.
func (s *scene) grudging(args []string, r, w int) {
	s.Helper()
	reader, writer := os.NewFile(uintptr(r), "reader"), os.NewFile(uintptr(w), "writer")
	defer reader.Close()
	p := s.start(trial{args: args, stdout: writer})
	s.Check(unix.SetNonblock(w, true)) // os/exec may have made it blocking
	var received bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 50_000)
		for {
			n, err := reader.Read(buffer)
			received.Write(buffer[:n])
			if err != nil {
				return
			}
			time.Sleep(100 * time.Microsecond)
		}
	}()
	harness.Eventually(p, "the end", p.over)
	if flags, err := unix.FcntlInt(uintptr(w), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		s.Errorf("the mode of stdout has changed: %#x (%v)", flags, err)
	}
	writer.Close()
	<-done
	p.finish()
	if err := readStream(received.Bytes(), stream.ReaderOptions{}); err != nil {
		s.Errorf("%d bytes arrived: %v", received.Len(), err)
	}
}
