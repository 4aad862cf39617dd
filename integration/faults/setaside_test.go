package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// A replacement is a database with its WAL, and an image that will replace it.
type replacement struct {
	*scene
	image string
	db    string
	count int
}

func newReplacement(s *scene) *replacement {
	s.Helper()
	s.tinyWAL()
	image := s.save(s.try(trial{}).stdout)
	s.crashedOf("PRAGMA page_size=1024; PRAGMA journal_mode=WAL;"+rowsSQL(30), "-wal")
	return &replacement{scene: s, image: image}
}

// trial puts the old database into a new directory, and returns the trial that replaces it.
func (r *replacement) trial(under []string) trial {
	r.Helper()
	r.count++
	dir := filepath.Join(r.Root, fmt.Sprint("place", r.count))
	r.Check(os.Mkdir(dir, 0o755))
	r.db = filepath.Join(dir, "app.db")
	for _, suffix := range []string{"", "-wal"} {
		r.Write(r.db+suffix, r.Read(r.scene.db+suffix))
	}
	return trial{args: []string{"restore", "--set-aside", r.image, r.db}, under: under, codes: []int{codeDone, codeBusy,
		codeSpace}, says: []string{r.db}}
}

// aside returns the databases that were set aside.
func (r *replacement) aside() []string {
	r.Helper()
	found, err := filepath.Glob(r.db + ".*Z")
	r.Check(err)
	return found
}

// judge checks that the new database is in place and the old one aside, or the old one where it
// was.
func (r *replacement) judge(o *aftermath) *aftermath {
	r.Helper()
	old, aside := r.db, r.aside()
	if o.code == codeDone {
		if rows := r.rows(r.db); rows != "20" || len(aside) != 1 {
			r.Fatalf("the new database has %s rows, want 20; set aside: %v", rows, aside)
		}
		old = aside[0]
	} else if len(aside) > 0 {
		r.Errorf("it failed, and set aside %v", aside)
	}
	if rows := r.rows(old); rows != "60" {
		r.Errorf("exit status %d, and the old database has %s rows, want 60", o.code, rows)
	}
	return o
}

func (r *replacement) rows(db string) string {
	r.Helper()
	return r.SQLite(db, "SELECT count(*) FROM t;")
}

// TestSetAsideAtEveryError fails every call that moves something or makes it durable, one after the
// other.
func TestSetAsideAtEveryError(t *testing.T) {
	for _, call := range []string{"fsync", "linkat", "unlinkat", "fcntl"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			r := newReplacement(newScene(t))
			total := r.sweep(call, "EIO", false, func(inject []string) *aftermath {
				if call == "fcntl" {
					inject = append(inject, "-P", filepath.Join(r.Root, fmt.Sprint("place", r.count+1), "app.db"))
				}
				return r.judge(r.try(r.trial(r.strace(inject...))))
			})
			outcomes.add(0, "restore --set-aside: an error at the Nth call of "+call, total,
				r.tally.verdict(t.Failed()))
		})
	}
}

// TestSetAsideOrder: the new names are durable before the first old one is removed.
func TestSetAsideOrder(t *testing.T) {
	r := newReplacement(newScene(t))
	o := r.judge(r.try(r.trial(r.strace("-y", "-e", "trace=fsync,linkat,unlinkat"))))
	linked := strings.LastIndex(o.trace, `"`+filepath.Base(r.aside()[0]))
	synced := strings.Index(o.trace[linked:], "<"+filepath.Dir(r.db)+">) = 0")
	removed := strings.Index(o.trace[linked:], `"`+filepath.Base(r.db)+`", 0) = 0`)
	if synced < 0 || removed < synced {
		t.Errorf("the directory is not synced between the last link and the first removal:\n%s", o.trace)
	}
}

// TestSetAsideKeepsOthersOut: nobody can open the database while its files move.
func TestSetAsideKeepsOthersOut(t *testing.T) {
	r := newReplacement(newScene(t))
	p := r.start(r.trial(r.straceAll("-e", "trace=unlinkat", "-e", "inject=unlinkat:signal=SIGSTOP:when=1")))
	trace, tried := p.trial.under[4], 0
	for stops := 0; ; {
		seen := 0
		harness.Eventually(r, "the program stops, or ends", func() bool {
			data, _ := os.ReadFile(trace)
			seen = strings.Count(string(data), "--- SIGSTOP {")
			return seen > stops || p.over()
		})
		if seen == stops {
			break
		}
		stops = seen
		for _, aside := range r.aside() {
			tried++
			f, err := os.OpenFile(aside, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if !errors.Is(err, syscall.EWOULDBLOCK) {
				t.Errorf("%s can be opened while it moves: %v", aside, err)
				f.Close()
			}
		}
		p.signal(syscall.SIGCONT)
	}
	r.judge(p.finish())
	if tried == 0 {
		t.Error("it was never stopped while it moved the files")
	}
}
