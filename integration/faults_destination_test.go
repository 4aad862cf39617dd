package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// destinationFaults are about whoever else may write where copies are made.
var destinationFaults = []matrixRow{
	{row: 121, name: "names swapped in somebody else's directory", try: swappedNames},
	{row: 122, name: "new database while the old one is set aside", try: takenName},
}

// swapRounds is how many runs of a command meet each way of swapping names.
const swapRounds = 4

// swappedNames: whoever owns the directory of the destination gives the names in it to something else as fast as he can.
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
			s.sql(victim, rowsSQL(7))
			foreign := s.dir("foreign")
			stop := s.swap(foreign, func(name string) error { return plant(name, victim) })
			defer stop()
			before := picture.Take(s.T, victims)
			for n := range swapRounds {
				copied, restored := fmt.Sprintf("%s/copy%d.db", foreign, n), fmt.Sprintf("%s/new%d.db", foreign, n)
				for _, args := range [][]string{{"backup", s.db, copied}, {"restore", image, restored}} {
					s.try(trial{args: args, codes: []int{codeDone, codeSpace}})
				}
			}
			before.MustMatch(s.T, victims)
		})
	}
}

// swap exchanges every private directory in dir with one of nobody's, in which plant has made the files, until it is
// told to stop.
func (s *scene) swap(dir string, plant func(name string) error) (stop func()) {
	s.Helper()
	evil := filepath.Join(dir, "evil")
	s.must(os.Mkdir(evil, 0o777))
	for _, name := range []string{"image.db", "content"} {
		s.must(plant(filepath.Join(evil, name)))
	}
	s.must(os.Chown(evil, nobody, nobody))
	s.must(os.Chown(dir, nobody, nobody))
	done := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			entries, _ := os.ReadDir(dir)
			for _, entry := range entries {
				if strings.HasPrefix(entry.Name(), atomicfile.Prefix) {
					unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, entry.Name()), unix.AT_FDCWD, evil, unix.RENAME_EXCHANGE)
				}
			}
		}
	})
	return sync.OnceFunc(func() { close(done); swapper.Wait() })
}

// takenName: a restarted application makes a new database as soon as the name is free, or opens the old one while it moves. The
// calls that move it take long.
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

// take makes a file with the database's name as soon as there is none.
func (r *replacement) take() (stop func()) {
	done := make(chan struct{})
	var taker sync.WaitGroup
	taker.Go(func() {
		for {
			f, err := os.OpenFile(r.db, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				f.Close()
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	return sync.OnceFunc(func() { close(done); taker.Wait() })
}

// survives wants the old database under one of its two names.
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
