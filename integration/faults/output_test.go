package faults

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
		s.part("for the WAL too", func(s *scene) {
			s.crashed("-wal")
			for inodes, code := range map[string]int{"0": codeDone, "5": codeSpace, "6": codeDone} {
				s.try(trial{under: s.mounted("mount -t tmpfs -o size=64m,nr_inodes=" + inodes + " none " + s.Temp),
					codes: []int{code}, says: []string{s.Temp, "no space left"}})
			}
		})
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
				says: []string{s.Temp, "file too large", "ulimit -f"}})
		}
	}},
	{row: 66, name: "fsync error", try: func(s *scene) {
		fsyncErrors(s)
		s.part("before fsync", writeBackErrors)
	}},
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
	{row: 74, name: "reader stalls forever", try: stalledReader},
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
		// The mount cannot be seen from here, so a command in the namespace checks what is left.
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
