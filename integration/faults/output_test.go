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

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// outputFaults are about the private copy, and where the stream goes.
var outputFaults = []matrixRow{
	{row: 61, name: "no space for the copy", try: noSpace},
	{row: 62, name: "no inodes for the copy", try: func(s *scene) {
		s.rollback()
		for _, inodes := range []string{"1", "2"} { // the root of the file system is one
			s.try(trial{under: s.mounted("mount -t tmpfs -o size=64m,nr_inodes=" + inodes + " none " + s.Temp),
				codes: []int{codeSpace}, says: []string{s.Temp, "no space left"}})
		}
	}},
	{row: 63, name: "EIO, ENOSPC, EINTR or short write on the Nth write of the copy", try: func(s *scene) {
		s.tinyRollback()
		for _, errno := range []string{"EIO", "ENOSPC", "EINTR"} {
			s.sweep("pwrite64", errno, errno != "EINTR", func(inject []string) *aftermath {
				return s.try(trial{under: s.strace(inject...), codes: []int{codeDone, codeSpace},
					says: []string{s.Temp}})
			})
		}
	}},
	{row: 64, name: "lost write", try: lostWrites},
	{row: 65, name: "file size limit", try: func(s *scene) {
		s.big()
		for _, limit := range []int{0, 4096, 100_000, 10 << 20} {
			s.try(trial{under: s.limited(fmt.Sprintf("--fsize=%d", limit)), codes: []int{codeSpace},
				says: []string{s.Temp}})
		}
	}},
	{row: 66, name: "fsync error", try: fsyncErrors},
	{row: 67, name: "temporary directory missing, read-only or full of traps", try: oddTemp},
	{row: 68, name: "temporary directory removed meanwhile", try: func(s *scene) {
		s.SQLite(s.db, rowsSQL(5000))
		p := s.start(trial{under: s.slowly(s.db, 10), codes: []int{codeSpace}, says: []string{s.Temp}})
		s.Check(os.RemoveAll(filepath.Dir(p.copying())))
		p.finish()
	}},
	{row: 69, name: "copy changed between check and stream", try: changedCopy},
	{row: 70, name: "stdout closed", try: func(s *scene) {
		s.rollback()
		s.try(trial{under: []string{"sh", "-c", `exec "$@" >&-`, "sh"}, codes: []int{codeOutput},
			says: []string{"standard output is closed"}})
		s.try(trial{under: []string{"sh", "-c", `exec "$@" <&- >&- `, "sh"}, codes: []int{codeOutput},
			says: []string{"standard output is closed"}})
	}},
	{row: 71, name: "stdout is /dev/full", try: func(s *scene) {
		s.rollback()
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		s.Check(err)
		defer full.Close()
		for _, flags := range [][]string{nil, {"--zstd"}, {"--timeout", "5s"}} {
			args := append(append([]string{"backup"}, flags...), s.db, "-")
			s.try(trial{args: args, stdout: full, codes: []int{codeOutput}, says: []string{"no space left"}})
		}
		s.try(trial{args: []string{"info", s.db}, stdout: full, codes: []int{codeOutput},
			says: []string{"standard output", "no space left"}})
	}},
	{row: 72, name: "stdout is a terminal", try: func(s *scene) {
		s.rollback()
		for _, args := range []string{"backup %s -", "backup --zstd %s -", "snapshot %s -"} {
			line := s.Program + " " + fmt.Sprintf(args, s.db)
			o := s.onTerminal(line)
			if o.code != codeUsage || !strings.Contains(string(o.stdout), "standard output is a terminal") {
				s.Errorf("exit status %d: %s", o.code, o.stdout)
			}
		}
	}},
	{row: 73, name: "reader exits early", try: func(s *scene) {
		s.big()
		for _, flags := range [][]string{nil, {"--zstd"}, {"--timeout", "1m"}} {
			r, w, err := os.Pipe()
			s.Check(err)
			p := s.start(trial{args: append(append([]string{"backup"}, flags...), s.db, "-"), stdout: w,
				codes: []int{codeOutput}, says: []string{"the reader has exited or closed the pipe"}})
			w.Close()
			_, err = io.ReadFull(r, make([]byte, 1000))
			s.Check(err)
			r.Close()
			p.finish()
		}
	}},
	{row: 74, name: "reader stalls for ever", try: stalledReader},
	{row: 75, name: "FIFO without a reader", try: fifoWithoutReader},
	{row: 76, name: "output exists", try: func(s *scene) {
		for _, name := range []string{"copy.db", "copy.db-wal", "copy.db-journal", "copy.db.sha256"} {
			s.part(name, func(s *scene) {
				s.rollback()
				s.Write(filepath.Join(s.out, name), []byte("precious"))
				for _, flags := range [][]string{{"backup"}, {"backup", "--zstd"}, {"snapshot"}} {
					s.try(trial{args: append(flags, s.db, filepath.Join(s.out, "copy.db")), codes: []int{codeExists},
						says: []string{name, "exists"}})
				}
			})
		}
	}},
	{row: 77, name: "output is a dangling symlink", try: func(s *scene) {
		s.rollback()
		dest := filepath.Join(s.out, "copy.db")
		s.Check(os.Symlink("nowhere", dest))
		for _, flags := range [][]string{{"backup"}, {"backup", "--zstd"}, {"backup", "--sidecar", dest}} {
			to := dest
			if len(flags) == 3 {
				to = "-"
			}
			s.try(trial{args: append(flags, s.db, to), codes: []int{codeExists}, says: []string{dest, "exists"}})
		}
	}},
	{row: 78, name: "two programs write to one FIFO", try: sharedFIFO},
	{row: 79, name: "disk full for the sidecar", try: func(s *scene) {
		s.rollback()
		sidecars := filepath.Join(s.Root, "sidecars")
		s.Check(os.Mkdir(sidecars, 0o755))
		// The mount itself is not seen from here, so the program under test looks after itself what
		// is there.
		for _, options := range []string{"size=4k", "size=8k,nr_inodes=2", "size=8k,nr_inodes=3"} {
			script := fmt.Sprintf("mount -t tmpfs -o %s none %s; head -c 4k /dev/zero >%[2]s/filler 2>/dev/null || :",
				options, sidecars)
			s.try(trial{under: s.mountedLeaving(script, sidecars, "filler"), sends: true, codes: []int{codeSpace},
				args: []string{"backup", "--no-trailer", "--sidecar", sidecars + "/x.sha256", s.db, "-"},
				says: []string{"x.sha256", "no space left"}})
		}
	}},
	{row: 80, name: "producer fails under restic or borg", try: failingProducer},
	{row: 81, name: "stdout gives EAGAIN, EINTR or short writes", try: grudgingOutput},
}

// mountedLeaving is mounted, and afterwards exits with status 99 unless dir has only that file in
// it.
func (s *scene) mountedLeaving(script, dir, only string) []string {
	return []string{harness.Tool(s.TB, "unshare"), "--mount", "sh", "-c",
		fmt.Sprintf(`%s; "$@"; status=$?; [ "$(ls -A %s)" = %s ] || { ls -lA %[2]s >&2; exit 99; }; exit $status`,
			script, dir, only), "sh"}
}

func noSpace(s *scene) {
	s.SQLite(s.db, rowsSQL(20000))
	s.try(trial{under: s.mounted("mount -t tmpfs -o size=2m none " + s.Temp), codes: []int{codeSpace},
		says: []string{s.Temp, "needed"}})
	s.part("filled meanwhile", func(s *scene) {
		s.SQLite(s.db, rowsSQL(40000))
		under := append(s.mounted("mount -t tmpfs -o size=16m none "+s.Temp), s.slowly(s.db, 1)...)
		p := s.start(trial{under: under, codes: []int{codeSpace}, says: []string{s.Temp, "full"}})
		inside := fmt.Sprintf("/proc/%d/root%s", p.pid(), s.Temp)
		harness.Eventually(p, "the copy begins", func() bool {
			found, _ := filepath.Glob(filepath.Join(inside, atomicfile.Prefix+"*", "image.db"))
			return len(found) > 0 || p.over()
		})
		filler, err := os.Create(filepath.Join(inside, "filler"))
		s.Check(err)
		io.Copy(filler, zeros{})
		filler.Close()
		p.finish()
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// lostWrites: a write that the disk drops is found where it hits the structure. Inside a row no
// check can see it, as the README says.
func lostWrites(s *scene) {
	s.rollback()
	found := 0
	for n := 1; n < 100; n++ {
		o := s.try(trial{under: s.strace("-e", "trace=pwrite64", "-e",
			fmt.Sprintf("inject=pwrite64:retval=4096:when=%d", n)),
			codes: []int{codeDone, codeCorrupt, codeSpace}, says: []string{".db"}})
		if o.injected() == 0 {
			break
		}
		if o.code != codeDone {
			found++
		}
	}
	if found < 3 {
		s.Errorf("only %d lost writes were found", found)
	}
}

func fsyncErrors(s *scene) {
	s.rollback()
	image := s.save(s.try(trial{}).stdout)
	copied, restored := filepath.Join(s.out, "copy.db"), filepath.Join(s.out, "restored.db")
	for name, tr := range map[string]trial{
		"backup":  {args: []string{"backup", s.db, copied}, makes: []string{"copy.db", "copy.db.sha256"}},
		"zstd":    {args: []string{"backup", "--zstd", s.db, copied}, makes: []string{"copy.db"}},
		"restore": {args: []string{"restore", image, restored}, makes: []string{"restored.db"}},
	} {
		for n := 1; ; n++ {
			tr.under = s.strace("-e", "trace=fsync,fdatasync", "-e",
				fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", n))
			tr.codes, tr.says = []int{codeDone, codeSpace}, []string{"input/output error"}
			o := s.try(tr)
			s.clearOut()
			if o.injected() == 0 {
				break
			}
			if o.code == codeDone {
				s.Errorf("%s ignored a failed fsync", name)
			}
		}
	}
}

// clearOut removes what a run has made.
func (s *scene) clearOut() {
	s.Helper()
	for _, name := range listing(s, s.out) {
		s.Check(os.RemoveAll(filepath.Join(s.out, name)))
	}
}

func oddTemp(s *scene) {
	s.rollback()
	s.try(trial{env: []string{"TMPDIR=" + s.Root + "/missing"}, codes: []int{codeSpace},
		says: []string{s.Root + "/missing", "no such file"}})
	s.try(trial{env: []string{"TMPDIR=" + s.db}, codes: []int{codeSpace}, says: []string{s.db, "not a directory"}})
	s.try(trial{args: []string{"backup", "--tmpdir", s.Root + "/missing", s.db, "-"}, codes: []int{codeSpace},
		says: []string{s.Root + "/missing"}})
	s.try(trial{under: s.mounted(fmt.Sprintf("mount --bind %s %[1]s && mount -o remount,bind,ro %[1]s", s.Temp)),
		codes: []int{codeSpace}, says: []string{s.Temp, "read-only"}})
	s.part("traps", func(s *scene) {
		s.SQLite(s.db, rowsSQL(2000))
		victim := filepath.Join(s.out, "victim")
		s.Check(os.Mkdir(victim, 0o755))
		s.Write(filepath.Join(victim, "file"), []byte("precious"))
		for i := range 5 {
			s.Check(os.Symlink(victim, filepath.Join(s.Temp, fmt.Sprintf("%s%024d", atomicfile.Prefix, i))))
		}
		foreign := filepath.Join(s.Temp, atomicfile.Prefix+strings.Repeat("f", 24))
		s.Check(os.Mkdir(foreign, 0o777))
		s.Check(os.Symlink(victim, filepath.Join(foreign, "link")))
		s.Check(os.Chown(foreign, harness.Nobody, harness.Nobody))
		p := s.start(trial{under: s.slowly(s.db, 5)})
		image := p.copying()
		for path, mode := range map[string]os.FileMode{image: 0o600, filepath.Dir(image): os.ModeDir | 0o700} {
			if info, err := os.Lstat(path); err != nil || info.Mode() != mode {
				s.Errorf("%s: %v (%v)", path, info.Mode(), err)
			}
		}
		p.finish().hasRows(2000)
	})
}

// changedCopy overwrites the copy while it is being sent: what arrives is not what was checked, and
// says so.
func changedCopy(s *scene) {
	s.big()
	for _, flags := range [][]string{nil, {"--zstd"}} {
		p := s.start(trial{args: append(append([]string{"backup"}, flags...), s.db, "-"), stall: true, spoils: true})
		p.idle() // the digest is there, too
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid()))
		s.Check(err)
		spoiled := false
		for _, fd := range fds {
			if target, _ := os.Readlink(fd); strings.Contains(target, "image.db") {
				f, err := os.OpenFile(fd, os.O_WRONLY, 0)
				s.Check(err)
				_, err = f.WriteAt([]byte("spoiled"), 15<<20)
				s.Check(err)
				s.Check(f.Close())
				spoiled = true
				break
			}
		}
		if !spoiled {
			s.Error("the copy was not found")
		}
		p.release()
		o := p.finish()
		if len(o.stdout) == 0 {
			s.Error("nothing came")
		}
		s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(o.stdout), codes: []int{codeStream},
			says: []string{"verify -", "mismatch"}})
	}
}

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

// sharedFIFO: two streams into one pipe, mixed up or one after the other, are never one whole
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
		// Each pictures the temporary directory, which the other one uses.
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

// grudgingOutput writes to descriptors that somebody made non-blocking, and that take little at a
// time.
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

// grudging runs the program with stdout on w, reads little at a time from r, and wants a whole
// stream. The mode of w, which others share, must stay as it is.
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
