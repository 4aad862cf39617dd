package faults

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// tinyRollback makes the source a database of a few pages, so that a sweep over all system calls is
// short.
func (s *scene) tinyRollback() { s.Helper(); s.SQLite(s.db, "PRAGMA page_size=1024;", rowsSQL(20)) }

func (s *scene) tinyWAL() {
	s.Helper()
	s.SQLite(s.db, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL;", rowsSQL(20))
}

// sweep fails the Nth call, for N = 1, 2, 3 ... until runs come through clean; if persistent, also
// the Nth and all after it. strace counts per thread, so one run without an injection proves
// nothing, but a few in a row do.
func (s *scene) sweep(call, errno string, persistent bool, run func(inject []string) *aftermath) (injected int) {
	s.Helper()
	const limit, enough = 200, 3
	forms := []string{""}
	if persistent {
		forms = append(forms, "+")
	}
	for _, form := range forms {
		clean := 0
		for n := 1; n < limit && clean < enough; n++ {
			inject := fmt.Sprintf("inject=%s:error=%s:when=%d%s", call, errno, n, form)
			o := run([]string{"-e", "trace=" + call, "-e", inject})
			if o.injected() == 0 {
				clean++
				if o.code != codeDone {
					s.Errorf("%s: exit status %d without an injection", inject, o.code)
				}
			} else {
				clean, injected = 0, injected+o.injected()
			}
			if s.Failed() {
				s.Fatalf("at %s", inject)
			}
		}
		if clean < enough {
			s.Errorf("%s:error=%s: still injected at call %d", call, errno, limit)
		}
	}
	return injected
}

// A sweptCommand is a command that writes, for the loops.
type sweptCommand struct {
	name  string
	trial func(s *scene) trial
}

func sweptCommands() []sweptCommand {
	return []sweptCommand{
		{"stdout", func(s *scene) trial { s.tinyWAL(); return trial{args: s.waiting()} }},
		{"stdout of a crashed WAL", func(s *scene) trial {
			s.crashedOf("PRAGMA page_size=1024; PRAGMA journal_mode=WAL;"+rowsSQL(20), "-wal")
			return trial{args: s.waiting()}
		}},
		{"file", func(s *scene) trial {
			s.tinyRollback()
			return trial{args: append(s.waiting()[:3], s.db, filepath.Join(s.out, "copy.db")),
				makes: []string{"copy.db", "copy.db.sha256"}}
		}},
		{"compressed file", func(s *scene) trial {
			s.tinyRollback()
			return trial{args: append(s.waiting()[:3], "--zstd", "--sidecar", filepath.Join(s.out, "copy.sha256"), s.db,
				filepath.Join(s.out, "copy.zst")), makes: []string{"copy.zst", "copy.sha256"}}
		}},
		{"restore", func(s *scene) trial {
			s.tinyRollback()
			image := s.save(s.try(trial{}).stdout)
			return trial{args: []string{"restore", image, filepath.Join(s.out, "new.db")}, makes: []string{"new.db"}}
		}},
		{"verify", func(s *scene) trial {
			s.tinyRollback()
			return trial{args: []string{"verify", "--check", "full", s.save(s.try(trial{}).stdout)}, prints: true}
		}},
		// The file gets its name only when cat has seen the end of its input.
		{"pipe", func(s *scene) trial {
			s.tinyRollback()
			script := fmt.Sprintf("cat >%s/piped && mv %[1]s/piped %s/complete", s.Root, s.out)
			return trial{args: []string{"pipe", "--busy-timeout", "300ms", "--grace", "100ms", s.db, "--", "sh", "-c",
				script}, makes: []string{"complete"}}
		}},
	}
}

// sweptCalls are the system calls that only our code makes; a failure of others crashes the Go
// runtime.
var sweptCalls = []struct {
	calls string
	paths bool // only on the source
}{
	{calls: "pread64"}, {calls: "pwrite64"}, {calls: "fsync"}, {calls: "fdatasync"}, {calls: "ftruncate"},
	{calls: "linkat"},
	{calls: "renameat,renameat2"}, {calls: "unlink,unlinkat,rmdir"}, {calls: "mkdirat"}, {calls: "flock"},
	{calls: "statfs,fstatfs"}, {calls: "getdents64"},
	{calls: "openat", paths: true}, {calls: "fcntl", paths: true}, {calls: "fstat,newfstatat", paths: true},
}

// TestErrorsAtEveryCall fails every system call that only our code makes, one after the other.
func TestErrorsAtEveryCall(t *testing.T) {
	for _, command := range sweptCommands() {
		for _, swept := range sweptCalls {
			t.Run(command.name+"/"+swept.calls, func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				tr, total := command.trial(s), 0
				for _, errno := range []string{"EIO", "ENOSPC", "EINTR", "EACCES", "EMFILE"} {
					// A call that is always interrupted is tried again forever.
					total += s.sweep(swept.calls, errno, errno != "EINTR" && errno != "EMFILE",
						func(inject []string) *aftermath {
							if swept.paths {
								inject = append([]string{"-P", s.db}, inject...)
							}
							return s.failing(tr, swept.calls, errno, inject)
						})
				}
				outcomes.add(0, fmt.Sprintf("%s: an error at the Nth call of %s", command.name, swept.calls), total,
					s.tally.verdict(t.Failed()))
			})
		}
	}
}

// TestErrorAtEveryPiece: a copy that lacks a piece is refused, even if no check would notice.
func TestErrorAtEveryPiece(t *testing.T) {
	s := newScene(t)
	s.SQLite(s.db, rowsSQL(5000))
	tr := trial{args: append(s.waiting(), "--check", "none")}
	s.sweep("pwrite64", "EIO", false, func(inject []string) *aftermath {
		o := s.failing(tr, "pwrite64", "EIO", inject)
		if o.code == codeDone && o.injected() > 0 {
			s.Error("an error of pwrite64 was ignored")
		}
		return o
	})
}

// failing runs a command whose system calls fail, and checks that it does everything or nothing.
func (s *scene) failing(tr trial, call, errno string, inject []string) *aftermath {
	s.Helper()
	tr.under = s.strace(inject...)
	tr.codes = []int{codeDone, codeSource, codeBusy, codeCorrupt, codeSpace, codeOutput}
	if tr.args[0] == "pipe" { // the system calls of CMD fail, too
		tr.codes = append(tr.codes, codeOther, 126, 127)
	}
	tr.sends = true
	// What cannot be removed stays, where the next run looks for it.
	tr.litter = strings.Contains(call, "unlink") || call == "getdents64"
	o := s.traced(func() { s.clearOut(); s.clearTemp() }, tr)
	// Nothing is promised about the durability of what goes to a pipe, and EINTR is no failure.
	if o.code == codeDone && o.injected() > 0 && strings.Contains(call, "sync") && errno != "EINTR" &&
		len(tr.makes) > 0 {
		s.Errorf("a failed %s was ignored", call)
	}
	if o.code == codeDone && len(tr.makes) > 0 {
		s.mustBeWhole(tr)
	}
	s.clearOut()
	s.clearTemp()
	return o
}

// traced is try after begin, and tries again when strace fails: strace 6.1 exits with
// "PTRACE_LISTEN: Input/output error" if a stopped process is killed at the wrong moment.
func (s *scene) traced(begin func(), tr trial) *aftermath {
	s.Helper()
	const attempts = 5
	for n := 1; ; n++ {
		begin()
		p := s.start(tr)
		o := p.wait()
		if n == attempts || !strings.Contains(o.stderr, "strace: ptrace(PTRACE_LISTEN") {
			p.judge(o)
			return o
		}
	}
}

// mustBeWhole checks that what a run has made is whole.
func (s *scene) mustBeWhole(tr trial) {
	s.Helper()
	made := filepath.Join(s.out, tr.makes[0])
	flags := []string{"verify"}
	if tr.args[0] == "restore" {
		flags = append(flags, "--unproven")
	}
	s.try(trial{args: append(flags, made)})
}

func (s *scene) clearTemp() {
	s.Helper()
	if s.left(s.Temp) > 0 {
		s.try(trial{litter: true})
		if left := s.left(s.Temp); left > 0 {
			s.Errorf("%d private directories are left after the next run", left)
		}
	}
}

// TestSizeLimitEverywhere limits the size of files to many values, as a full disk would.
func TestSizeLimitEverywhere(t *testing.T) {
	eachSweptCommand(t, func(s *scene, name string, tr trial) {
		defer func() {
			outcomes.add(0, name+": no more than N bytes in a file", s.tally.times(), s.tally.verdict(s.Failed()))
		}()
		for limit := 0; ; limit += 509 {
			tr.under = s.limited(fmt.Sprintf("--fsize=%d", limit))
			tr.codes, tr.says = []int{codeDone, codeSpace}, []string{s.Root}
			o := s.try(tr)
			if o.code == codeDone && len(tr.makes) > 0 {
				s.mustBeWhole(tr)
			}
			s.clearOut()
			if s.Failed() {
				s.Fatalf("at %d bytes", limit)
			}
			if o.code == codeDone {
				return
			}
		}
	})
}

// eachSweptCommand runs a loop for each command, in a scene of its own.
func eachSweptCommand(t *testing.T, loop func(s *scene, name string, tr trial)) {
	for _, command := range sweptCommands() {
		t.Run(command.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			loop(s, command.name, command.trial(s))
		})
	}
}
