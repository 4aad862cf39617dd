package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// otherFaults are about checkpoint and info.
var otherFaults = []matrixRow{
	{row: 103, name: "checkpoint without WAL", try: func(s *scene) {
		s.rollback()
		for _, mode := range checkpointModes {
			got := s.checkpoint(trial{}, mode)
			if got.WALPages != 0 || got.Checkpointed != 0 || !got.Complete || got.Busy {
				s.Errorf("%s: %+v", mode, got)
			}
		}
	}},
	{row: 104, name: "PASSIVE incomplete", try: func(s *scene) {
		s.pinned()
		if got := s.checkpoint(trial{moves: true}, "passive"); got.Complete || got.Busy || got.WALPages == 0 ||
			got.Checkpointed >= got.WALPages {
			s.Errorf("%+v", got)
		}
	}},
	{row: 105, name: "FULL, RESTART or TRUNCATE blocked", try: func(s *scene) {
		for _, mode := range checkpointModes[1:] {
			s.part(mode, func(s *scene) {
				s.pinned()
				got := s.checkpoint(trial{moves: true, codes: []int{codeBusy}, says: []string{"app.db", "blocked"}},
					mode, "--busy-timeout", "300ms")
				if got.Complete || !got.Busy || got.WALPages == 0 {
					s.Errorf("%+v", got)
				}
			})
		}
	}},
	{row: 106, name: "TRUNCATE done", try: func(s *scene) {
		s.wal()
		s.Open(s.db, moreRows)
		if got := s.checkpoint(trial{moves: true}, "truncate"); !got.Complete || got.WALPages == 0 ||
			got.Checkpointed != got.WALPages {
			s.Errorf("%+v", got)
		}
		if info, err := os.Stat(s.db + "-wal"); err != nil || info.Size() != 0 {
			s.Errorf("the -wal: %v, %v", info, err)
		}
	}},
	{row: 107, name: "checkpoint of a missing file", try: func(s *scene) {
		s.try(trial{args: []string{"checkpoint", s.db}, codes: []int{codeSource},
			says: []string{"app.db", "no such file"}})
	}},
	{row: 108, name: "checkpoint by a foreign uid", try: func(s *scene) {
		s.crashed("-wal")
		s.own(0o666)
		s.try(trial{args: []string{"checkpoint", s.db}, under: s.user(harness.Nobody), codes: []int{codeSource},
			says: []string{"app.db", "belongs to uid 65534"}})
		s.stillWrites(600)
		s.part("nothing to do", func(s *scene) {
			s.wal()
			s.own(0o666)
			s.try(trial{args: []string{"checkpoint", s.db}, under: s.user(harness.Nobody), prints: true})
			s.stillWrites(500)
		})
	}},
	{row: 109, name: "PASSIVE on a cold database", try: func(s *scene) {
		s.crashed("-wal", "-shm")
		s.checkpoint(trial{moves: true}, "passive")
		if names := listing(s, s.source); !slices.Equal(names, []string{"app.db"}) {
			s.Errorf("left are %v", names)
		}
		s.stillWrites(600)
	}},
	{row: 110, name: "SIGKILL at the Nth write of a checkpoint", try: killedCheckpoint},
	{row: 111, name: "info on every state", try: infoEverywhere},
}

var checkpointModes = []string{"passive", "full", "restart", "truncate"}

type checkpointAnswer struct {
	Busy         bool `json:"busy"`
	WALPages     int  `json:"wal_pages"`
	Checkpointed int  `json:"checkpointed_pages"`
	Complete     bool `json:"fully_checkpointed"`
}

func (s *scene) checkpoint(tr trial, mode string, flags ...string) (answer checkpointAnswer) {
	s.Helper()
	tr.args = slices.Concat([]string{"checkpoint", "-m", mode}, flags, []string{s.db})
	tr.args = append(tr.args, "--json")
	tr.prints, tr.silent = true, true // the error is JSON, too
	o := s.try(tr)
	s.Check(json.Unmarshal(o.stdout, &answer))
	return answer
}

// pinned makes a WAL database whose WAL a reader keeps from restarting.
func (s *scene) pinned() {
	s.Helper()
	s.wal()
	s.Open(s.db, "BEGIN; SELECT count(*) FROM t;")
	s.Open(s.db, moreRows, "PRAGMA wal_autocheckpoint=0;", moreRows)
}

// killedCheckpoint: whenever a checkpoint is killed, the application finds nothing lost when it
// next opens the database.
func killedCheckpoint(s *scene) {
	const limit = 200
	kills := 0
	for n, spared := 1, 0; spared < 3; n++ {
		killed := false
		s.part(fmt.Sprint(n), func(s *scene) {
			s.crashed("-wal", "-shm")
			o := s.try(trial{args: []string{"checkpoint", "-m", "truncate", s.db}, moves: true, silent: true,
				litter: true, codes: []int{-1, 0}, prints: true,
				under: s.killing("pwrite64,ftruncate,fsync,fdatasync,unlink", n)})
			killed = o.code == -1
			s.stillWrites(600)
		})
		if spared++; killed {
			kills, spared = kills+1, 0
		}
		if n == limit {
			s.Fatalf("still killed at call %d", limit)
		}
	}
	if kills < 20 { // it writes back some 25 pages
		s.Errorf("killed only %d times", kills)
	}
}

// infoEverywhere runs info on a source in each state of the rows above: it takes no lock, opens
// nothing for writing, and is quick.
func infoEverywhere(s *scene) {
	states := map[string]func(s *scene){
		"missing":             func(s *scene) {},
		"directory":           func(s *scene) { s.Check(os.Mkdir(s.db, 0o755)) },
		"empty":               func(s *scene) { s.Write(s.db, nil) },
		"text":                func(s *scene) { s.Write(s.db, []byte("hi\n")) },
		"random":              func(s *scene) { s.Write(s.db, randomBytes(16*4096)) },
		"header only":         func(s *scene) { s.Write(s.db, []byte("SQLite format 3\x00")) },
		"cut":                 func(s *scene) { s.rollback(); s.Check(os.Truncate(s.db, 5000)) },
		"tail":                func(s *scene) { s.rollback(); s.Write(s.db, append(s.Read(s.db), "tail"...)) },
		"future":              func(s *scene) { s.rollback(); s.patch(18, 3, 3) },
		"hardlink":            func(s *scene) { s.rollback(); s.Check(os.Link(s.db, s.db+".link")) },
		"rollback":            (*scene).rollback,
		"WAL, closed":         (*scene).wal,
		"WAL, crashed":        func(s *scene) { s.crashed("-wal", "-shm") },
		"WAL, without shm":    func(s *scene) { s.crashed("-wal") },
		"WAL, live":           func(s *scene) { s.wal(); s.Open(s.db, moreRows) },
		"WAL, writing":        func(s *scene) { s.wal(); s.Open(s.db, "BEGIN IMMEDIATE;", moreRows) },
		"WAL, exclusive":      func(s *scene) { s.wal(); s.Open(s.db, "PRAGMA locking_mode=EXCLUSIVE;", moreRows) },
		"rollback, writing":   func(s *scene) { s.rollback(); s.Open(s.db, "BEGIN IMMEDIATE;", moreRows) },
		"rollback, exclusive": func(s *scene) { s.rollback(); s.Open(s.db, "BEGIN EXCLUSIVE;") },
		"hot journal":         (*scene).hot,
		"empty journal":       func(s *scene) { s.rollback(); s.Write(s.db+"-journal", nil) },
		"zeroed journal":      func(s *scene) { s.rollback(); s.Write(s.db+"-journal", make([]byte, 4096)) },
	}
	for name, state := range states {
		s.part(name, func(s *scene) {
			state(s)
			info := trial{args: []string{"info", s.db}, codes: []int{codeDone, codeSource}, says: []string{"app.db"},
				prints: true, weigh: true}
			s.try(info).modest(time.Second, 100)
			info.weigh = false
			info.under = s.user(harness.Nobody)
			s.try(info)
			info.under = s.strace("-y", "-e", "trace=fcntl,flock,openat")
			s.takesNothing(s.try(info).trace)
		})
	}
}

// takesNothing checks a trace: no lock is taken, and files beside the source are opened for reading
// only.
func (s *scene) takesNothing(trace string) {
	s.Helper()
	for line := range strings.Lines(trace) {
		if !strings.Contains(line, filepath.Base(s.db)) {
			continue
		}
		for _, bad := range []string{"SETLK", "SETLEASE", "flock(", "O_RDWR", "O_WRONLY", "O_CREAT"} {
			if strings.Contains(line, bad) {
				s.Errorf("info does more than look: %s", line)
			}
		}
	}
}
