package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// streamFaults are about the input of verify and restore.
var streamFaults = []matrixRow{
	{row: 82, name: "empty input", try: func(s *scene) { s.noStream(nil, "empty input") }},
	{row: 83, name: "truncated at every byte", try: truncations},
	{row: 84, name: "truncated exactly at the end of the payload", try: func(s *scene) {
		raw, compressed := s.streams()
		s.noStream(raw[:len(raw)-stream.TrailerSize], "no trailer")
		s.noStream(compressed[:len(compressed)-stream.TrailerSize-8], "no trailer")
	}},
	{row: 85, name: "bit flip at every byte", try: bitFlips},
	{row: 86, name: "trailing garbage", try: func(s *scene) {
		raw, compressed := s.streams()
		for _, data := range [][]byte{raw, compressed} {
			for _, n := range []int{1, 31, 1 << 20} {
				s.noStream(slices.Concat(data, make([]byte, n)), "data after the end")
				s.noStream(slices.Concat(data, randomBytes(n)), "data after the end")
			}
		}
	}},
	{row: 87, name: "two streams concatenated", try: func(s *scene) {
		raw, compressed := s.streams()
		for _, data := range [][]byte{slices.Concat(raw, raw), slices.Concat(compressed, compressed),
			slices.Concat(raw, compressed), slices.Concat(compressed, raw)} {
			s.noStream(data, "data after the end")
		}
	}},
	{row: 88, name: "zstd skippable or second frame", try: foreignFrames},
	{row: 89, name: "trailer of another stream, twice, or inside the payload", try: trailers},
	{row: 90, name: "wrong length field", try: wrongLengths},
	{row: 91, name: "zstd bomb or huge window", try: bombs},
	{row: 92, name: "right digest of a corrupt database", try: func(s *scene) {
		s.rollback()
		s.patch(3*4096, make([]byte, 4096)...)
		o := s.try(trial{args: []string{"backup", "--check", "none", s.db, "-"}})
		s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(o.stdout)})
		s.try(trial{args: []string{"verify", "--check", "quick", "-"}, stdin: bytes.NewReader(o.stdout),
			codes: []int{codeCorrupt}, says: []string{"verify -"}})
		s.try(trial{args: []string{"restore", "-", filepath.Join(s.out, "new.db")}, stdin: bytes.NewReader(o.stdout),
			codes: []int{codeCorrupt}, says: []string{"new.db"}})
	}},
	{row: 93, name: "wrong sidecar", try: wrongSidecars},
	{row: 94, name: "unknown format version or fields", try: func(s *scene) {
		raw, _ := s.streams()
		s.noStream(edited(raw, "sqlite-checkpoint/1", "sqlite-checkpoint/2"), "newer format")
		s.noStream(edited(raw, "sqlite-checkpoint/1", "sqlite-checkpoint/0"), "trailer")
		s.noStream(edited(raw, " check=quick", " check=wrong"), "trailer")
		s.noStream(edited(raw, " check=quick", ""), "trailer")
		later := edited(raw, " check=quick", " check=quick later=field")
		s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(later)})
	}},
	{row: 95, name: "restore target exists", try: func(s *scene) {
		for name, block := range map[string]func(path string) error{
			"file":             func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
			"directory":        func(path string) error { return os.Mkdir(path, 0o755) },
			"dangling symlink": func(path string) error { return os.Symlink("nowhere", path) },
		} {
			s.part(name, func(s *scene) { s.targetTaken(block, "new.db") })
		}
	}},
	{row: 96, name: "file beside the restore target exists", try: func(s *scene) {
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			s.part(suffix, func(s *scene) {
				s.targetTaken(func(path string) error { return os.WriteFile(path+suffix, nil, 0o600) }, "new.db"+suffix)
			})
		}
	}},
	{row: 97, name: "restore target appears meanwhile", try: func(s *scene) {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			s.part("new.db"+suffix, func(s *scene) { s.targetAppears(suffix) })
		}
	}},
	{row: 98, name: "error or SIGKILL at the Nth write of a restore", try: restoreSweep},
	{row: 99, name: "power cut", try: syncOrder},
	{row: 100, name: "restore to a read-only or forbidden directory", try: func(s *scene) {
		raw, _ := s.streams()
		target := filepath.Join(s.out, "new.db")
		args := []string{"restore", "-", target}
		s.try(trial{args: args, stdin: bytes.NewReader(raw), codes: []int{codeSpace},
			says:  []string{s.out, "read-only"},
			under: s.mounted(fmt.Sprintf("mount --bind %s %[1]s && mount -o remount,bind,ro %[1]s", s.out))})
		s.try(trial{args: args, stdin: bytes.NewReader(raw), codes: []int{codeSpace},
			says: []string{s.out, "permission denied"}, under: s.user(harness.Nobody)})
		s.try(trial{args: []string{"restore", "-", filepath.Join(s.out, "missing", "new.db")},
			stdin: bytes.NewReader(raw), codes: []int{codeSpace}, says: []string{"missing", "no such file"}})
		s.part("file system without links", noLinks)
	}},
	{row: 101, name: "restored database in WAL mode", try: func(s *scene) {
		s.wal()
		raw := s.try(trial{}).stdout
		target := filepath.Join(s.out, "new.db")
		s.try(trial{args: []string{"restore", "-", target}, stdin: bytes.NewReader(raw), makes: []string{"new.db"}})
		for _, args := range [][]string{{"verify", "-"}, {"info", target}} {
			if o := s.try(trial{args: args, stdin: bytes.NewReader(raw)}); !strings.Contains(string(o.stdout),
				"WAL mode") {
				s.Errorf("%s does not say WAL mode: %s", args[0], o.stdout)
			}
		}
		s.Check(os.Chmod(target, 0o644))
		if out, err := s.TrySQLite(harness.Nobody, target, "SELECT count(*) FROM t;"); err == nil {
			s.Errorf("a reader without a writable directory got %s: README says otherwise", out)
		}
	}},
	{row: 102, name: "restore input is a terminal or a directory", try: func(s *scene) {
		target := filepath.Join(s.out, "new.db")
		s.Check(os.WriteFile(filepath.Join(s.source, "file"), nil, 0o600))
		for _, command := range [][]string{{"verify", s.source}, {"restore", s.source, target}} {
			s.try(trial{args: command, codes: []int{codeUsage}, says: []string{s.source, "is a directory"}})
		}
		for _, line := range []string{" verify -", " restore - " + target} {
			if o := s.onTerminal(s.Program + line); o.code != codeUsage || !strings.Contains(string(o.stdout),
				"it is a terminal") {
				s.Errorf("exit status %d: %s", o.code, o.stdout)
			}
		}
	}},
}
