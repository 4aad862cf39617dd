package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// killedCalls are the calls that leave something on the disk or in a pipe.
var killedCalls = []string{"pwrite64", "write", "fsync", "ftruncate", "linkat", "unlinkat", "mkdirat", "flock"}

// killAtEachWrite kills a run at its Nth write, for N = 1, 2, 3 ..., and each time starts another
// one, which sweeps.
func (s *scene) killAtEachWrite(tr trial) (kills int) {
	s.Helper()
	s.try(tr)
	good := s.contents(tr.makes)
	s.clearOut()
	deepest := 0
	for _, call := range killedCalls {
		const limit = 500
		for n, spared := 1, 0; n < limit && spared < 3; n++ {
			if s.killAt(tr, call, n) {
				kills, spared, deepest = kills+1, 0, max(deepest, n)
			} else {
				spared++
			}
			s.takeAway(tr.makes, good)
			next := tr
			next.litter = true // that it sweeps
			s.try(next)
			s.takeAway(tr.makes, good)
			if left := s.left(s.Temp, s.out); left > 0 {
				s.Errorf("%d private directories are left after the next run", left)
			}
			if s.Failed() {
				s.Fatalf("killed at %s %d", call, n)
			}
		}
	}
	if deepest < 3 {
		s.Errorf("killed at call %d at most", deepest)
	}
	return kills
}

// killAt kills a run at its Nth call, and reports whether it had that many.
func (s *scene) killAt(tr trial, call string, n int) bool {
	s.Helper()
	tr.under = s.killing(call, n)
	tr.codes, tr.silent, tr.litter, tr.sends, tr.killed = []int{-1, codeDone}, true, true, true, true
	if len(tr.args) > 0 && tr.args[0] == "pipe" { // it may be CMD that is killed, or the guard
		tr.codes = append(tr.codes, codeOther, codeOutput, 128+int(syscall.SIGKILL))
	}
	return s.try(tr).code != codeDone
}

// takeAway removes what a run has made, and checks that it is whole: nothing else may have the
// final name.
func (s *scene) takeAway(names []string, good map[string][]byte) {
	s.Helper()
	for name, data := range s.contents(names) {
		if !bytes.Equal(data, good[name]) {
			s.Errorf("%s has its final name and is not whole", name)
		}
		s.Check(os.Remove(filepath.Join(s.out, name)))
	}
}

// contents returns the contents of the files of these names in the output directory, as far as they
// exist.
func (s *scene) contents(names []string) map[string][]byte {
	s.Helper()
	all := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(s.out, name))
		if err == nil {
			all[name] = data
		} else if !os.IsNotExist(err) {
			s.Fatal(err)
		}
	}
	return all
}

// restoreSweep is a restore that is killed at every write, and stopped at many file sizes.
func restoreSweep(s *scene) {
	s.SQLite(s.db, rowsSQL(25000))
	image := s.save(s.try(trial{}).stdout)
	restore := trial{args: []string{"restore", image, filepath.Join(s.out, "new.db")}, makes: []string{"new.db"}}
	s.killAtEachWrite(restore)
	restore.codes, restore.says = []int{codeSpace}, []string{"file too large"}
	for limit := 0; limit < 4_000_000; limit += 300_000 {
		restore.under = s.limited(fmt.Sprintf("--fsize=%d", limit))
		s.try(restore)
	}
}

// TestKilledAtEveryWrite kills each command that writes, at every write.
func TestKilledAtEveryWrite(t *testing.T) {
	eachSweptCommand(t, func(s *scene, name string, tr trial) {
		kills := s.killAtEachWrite(tr)
		outcomes.add(0, name+": SIGKILL at the Nth call that writes", kills, s.tally.verdict(s.Failed()))
	})
}
