package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// destinationFaults are about other users who may write where copies are made.
var destinationFaults = []matrixRow{
	{row: 121, name: "names swapped in another user's directory", try: swappedNames},
	{row: 122, name: "new database while the old one is set aside", try: takenName},
	{row: 123, name: "another user's directory swapped for a link to one of root's", try: swappedParents},
}

// swapRounds is how often each command runs under each way of swapping names.
const swapRounds = 4

// swappedNames: the owner of the destination's directory renames other things to the names in it as
// fast as possible.
func swappedNames(s *scene) {
	s.rollback()
	image := s.save(s.try(trial{}).stdout)
	for what, plant := range map[string]func(name, victim string) error{
		"symlink":   func(name, victim string) error { return os.Symlink(victim, name) },
		"hard link": func(name, victim string) error { return os.Link(victim, name) },
		"FIFO":      func(name, _ string) error { return unix.Mkfifo(name, 0o666) },
	} {
		s.part(what, func(s *scene) {
			s.rollback()
			victims := s.dir("victims")
			victim := filepath.Join(victims, "app.db")
			s.SQLite(victim, rowsSQL(7))
			foreign := s.dir("foreign")
			stop := s.swap(foreign, func(name string) error { return plant(name, victim) })
			defer stop()
			before := testkit.TakePicture(s.TB, victims)
			for n := range swapRounds {
				copied, restored := fmt.Sprintf("%s/copy%d.db", foreign, n), fmt.Sprintf("%s/new%d.db", foreign, n)
				for _, args := range [][]string{{"backup", s.db, copied}, {"restore", image, restored}} {
					s.try(trial{args: args, codes: []int{codeDone, codeSpace}})
				}
			}
			before.MustMatch(s.TB, victims)
		})
	}
}

// swap exchanges every private directory in dir with a directory of the user nobody, in which plant
// has created the files, until it is told to stop.
func (s *scene) swap(dir string, plant func(name string) error) (stop func()) {
	s.Helper()
	evil := filepath.Join(dir, "evil")
	s.Check(os.Mkdir(evil, 0o777))
	for _, name := range []string{"image.db", "content"} {
		s.Check(plant(filepath.Join(evil, name)))
	}
	s.Check(os.Chown(evil, harness.Nobody, harness.Nobody))
	s.Check(os.Chown(dir, harness.Nobody, harness.Nobody))
	return repeat(func() bool {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), atomicfile.Prefix) {
				exchangeOnce(filepath.Join(dir, entry.Name()), evil)
			}
		}
		return true
	})
}

// repeat calls f in the background until it returns false or is told to stop.
func repeat(f func() bool) (stop func()) {
	done := make(chan struct{})
	var repeater sync.WaitGroup
	repeater.Go(func() {
		for f() {
			select {
			case <-done:
				return
			default:
			}
		}
	})
	return sync.OnceFunc(func() { close(done); repeater.Wait() })
}

func exchangeOnce(a, b string) {
	unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// parentRounds is how often each command runs while a directory and a symbolic link are exchanged.
const parentRounds = 30

// swappedParents: the user nobody exchanges the directory that root writes in, as fast as possible,
// for a symbolic link to a directory of root's that has files of the same names. Nothing in that
// one may change.
func swappedParents(s *scene) {
	s.rollback()
	image := s.save(s.try(trial{}).stdout)
	private, above := s.dir("private"), s.dir("above")
	theirs, link := filepath.Join(above, "dir"), filepath.Join(above, "link")
	for range 3 {
		s.try(trial{args: []string{"backup", "-q", s.db, private + "/"}, prints: true})
	}
	s.SQLite(filepath.Join(private, "app.db"), rowsSQL(7))
	s.Write(filepath.Join(private, "r.json"), []byte("mine"))
	s.Write(filepath.Join(private, "m.prom"), []byte("# mine\n"))
	s.Check(os.Chmod(private, 0o700))
	s.Check(os.Symlink(private, link))
	s.Check(os.Lchown(link, harness.Nobody, harness.Nobody))
	codes := []int{codeDone, codeSource, codeBusy, codeSpace, codeStream, codeExists}
	for what, args := range map[string][]string{
		"report and metrics": {"backup", "--report", theirs + "/r.json", "--metrics", theirs + "/m.prom", s.db, "-"},
		"prune":              {"prune", "-q", "--keep-last", "1", theirs},
		"dated copy":         {"backup", "-q", "--if-changed", s.db, theirs + "/"},
		"sidecar":            {"backup", "-q", "--sidecar", theirs + "/r.sha256", s.db, "-"},
		"stream to a file":   {"backup", "-q", "--zstd", s.db, theirs + "/new.zst"},
		"set aside":          {"restore", "-q", "--set-aside", image, theirs + "/app.db"},
	} {
		s.part(what, func(s *scene) {
			before := testkit.TakePicture(s.TB, private)
			for range parentRounds {
				s.Check(os.RemoveAll(theirs))
				s.Check(exec.Command("cp", "-a", private, theirs).Run())
				s.Check(os.Remove(theirs + "/r.json"))
				s.Check(os.Remove(theirs + "/m.prom"))
				stop := exchange(theirs, link)
				s.try(trial{args: args, prints: true, litter: true, codes: codes})
				stop()
				if info, err := os.Lstat(theirs); err == nil && info.Mode().Type() == fs.ModeSymlink {
					s.Check(os.Rename(link, above+"/was"))
					s.Check(os.Rename(theirs, link))
					s.Check(os.Rename(above+"/was", theirs))
				}
				before.MustMatch(s.TB, private)
			}
		})
	}
}

// exchange exchanges two names until it is told to stop.
func exchange(a, b string) (stop func()) {
	return repeat(func() bool { exchangeOnce(a, b); return true })
}

// takenName: a restarted application creates a new database as soon as the name is free, or opens
// the old one while it is moved. The calls that move it are slowed down.
func takenName(s *scene) {
	r := newReplacement(s)
	for _, call := range []string{"fsync", "linkat", "unlinkat", "fcntl"} {
		for n := 1; n <= 8; n++ {
			under := s.strace("-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:delay_exit=20000:when=%d", call, n))
			tr := r.trial(under)
			tr.codes = []int{codeDone, codeBusy, codeSpace, codeExists}
			stop := r.take()
			o := s.try(tr)
			stop()
			r.survives(o.stderr)
		}
	}
}

// take creates a file with the database's name as soon as there is none.
func (r *replacement) take() (stop func()) {
	return repeat(func() bool {
		f, err := os.OpenFile(r.db, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			f.Close()
		}
		return err != nil
	})
}

// survives fails the test unless the old database is under one of its two names.
func (r *replacement) survives(stderr string) {
	r.Helper()
	for _, name := range append(r.aside(), r.db) {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 && r.rows(name) == "60" {
			return
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Error(err)
		}
	}
	r.Fatalf("the old database is gone: %s", stderr)
}
