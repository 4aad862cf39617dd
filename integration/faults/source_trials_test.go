package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// refused backs up the source to stdout, and checks that it is refused.
func (s *scene) refused(code int, says ...string) *aftermath {
	s.Helper()
	return s.refusedBy(nil, code, says...)
}

func (s *scene) refusedBy(flags []string, code int, says ...string) *aftermath {
	s.Helper()
	return s.try(trial{args: slices.Concat([]string{"backup"}, flags, []string{s.db, "-"}), codes: []int{code},
		says: says})
}

func (s *scene) refusedAs(codes []int, says ...string) *aftermath {
	s.Helper()
	return s.try(trial{codes: codes, says: says})
}

// checkedAs checks that a backup passes at this level, with a warning if that is less than usual.
func (s *scene) checkedAs(level, warning string) {
	s.Helper()
	o := s.try(trial{})
	o.warns(warning)
	if !bytes.Contains(o.stdout, []byte(" check="+level+" ")) {
		s.Errorf("the trailer does not say check=%s", level)
	}
}

// hasQuickRows is hasRows for a database that passes quick_check, but not integrity_check.
func (o *aftermath) hasQuickRows(n int) {
	o.Helper()
	if got := o.SQLite(o.save(o.stdout), "PRAGMA quick_check;", "SELECT count(*) FROM t;"); got != fmt.Sprintf("ok\n%d",
		n) {
		o.Errorf("the image says %q", got)
	}
}

// modest checks memory and CPU time, which does not depend on the load of the machine.
func (o *aftermath) modest(cpu time.Duration, mebibytes int64) {
	o.Helper()
	if o.rss == 0 {
		o.Error("no CPU time and memory were measured")
	}
	if o.cpu > cpu.Seconds() || o.rss > mebibytes<<10 {
		o.Errorf("it took %v s of processor time and %d MiB", o.cpu, o.rss>>10)
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func deviceAsSource(s *scene) {
	listener, err := net.Listen("unix", s.db)
	s.Check(err)
	defer listener.Close()
	for _, path := range []string{"/dev/null", "/dev/zero", "/dev/tty", s.db} {
		o := s.try(trial{args: []string{"backup", path, "-"}, codes: []int{codeSource},
			says: []string{path, "not a regular file"}})
		if o.elapsed > 10*time.Second {
			s.Errorf("it took %v", o.elapsed)
		}
	}
}

// sketch is a picture of a source that is too large for one: sizes and times, not bytes.
func (s *scene) sketch() string {
	s.Helper()
	out, err := exec.Command("sh", "-c", "stat -c '%n %i %s %y %U %a' "+s.source+" "+s.source+"/*").Output()
	s.Check(err)
	return string(out)
}

func (s *scene) stillLooks(before string) {
	s.Helper()
	if after := s.sketch(); after != before {
		s.Errorf("the source was\n%s\nand is\n%s", before, after)
	}
}

// hugeSource crosses the page with the lock bytes, which holds no data.
func hugeSource(s *scene) {
	s.SQLite(s.db,
		"PRAGMA page_size=65536; PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; CREATE TABLE t(id INTEGER PRIMARY "+
			"KEY, v BLOB);",
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<11) INSERT INTO t SELECT i, "+
			"zeroblob(100000000) FROM c;")
	copied := filepath.Join(s.Root, "copy.db") // a picture of it would take long
	before := s.sketch()
	o := s.try(trial{args: []string{"backup", s.db, copied}, moves: true,
		under: s.limited(fmt.Sprintf("--data=%d", 256<<20))})
	s.stillLooks(before)
	if o.code == 0 {
		s.sameButCounters(s.db, copied)
	}
}

// sameButCounters compares two databases page by page, without the fields of the header that the
// backup API sets.
func (s *scene) sameButCounters(a, b string) {
	s.Helper()
	fa, err := os.Open(a)
	s.Check(err)
	defer fa.Close()
	fb, err := os.Open(b)
	s.Check(err)
	defer fb.Close()
	const piece = 1 << 20
	bufA, bufB := make([]byte, piece), make([]byte, piece)
	for offset := int64(0); ; offset += piece {
		n, errA := fa.ReadAt(bufA, offset)
		m, errB := fb.ReadAt(bufB, offset)
		if offset == 0 && n >= 100 && m >= 100 {
			for _, field := range [][2]int{{24, 28}, {40, 44}, {92, 100}} {
				clear(bufA[field[0]:field[1]])
				clear(bufB[field[0]:field[1]])
			}
		}
		if n != m || !bytes.Equal(bufA[:n], bufB[:m]) {
			s.Fatalf("%s and %s differ at about byte %d", a, b, offset)
		}
		if errA != nil || errB != nil {
			return
		}
	}
}

// shapes compares the image with the source, which is the same but for the counters in its header.
func shapes(s *scene) {
	var all [][]string
	for size := 512; size <= 65536; size *= 2 {
		all = append(all, []string{fmt.Sprintf("PRAGMA page_size=%d;", size)})
	}
	all = append(all, []string{"PRAGMA auto_vacuum=1;"}, []string{"PRAGMA auto_vacuum=2;"},
		[]string{"PRAGMA encoding='UTF-16le';"},
		[]string{"PRAGMA encoding='UTF-16be';"}, []string{"PRAGMA journal_mode=WAL;"},
		[]string{".filectrl reserve_bytes 32"})
	for i, shape := range all {
		s.db = filepath.Join(s.source, fmt.Sprintf("%d.db", i))
		s.SQLite(s.db, append(shape, rowsSQL(500), "DELETE FROM t WHERE id % 3 = 0;", "VACUUM;",
			"DELETE FROM t WHERE id % 5 = 0;")...)
		o := s.try(trial{})
		image := s.save(o.stdout[:max(0, len(o.stdout)-256)])
		s.sameButCounters(s.db, image)
	}
}

func oddlyNamed(s *scene) {
	names := []string{"a?mode=rwc", "a#b", "a%41b", "a&b", "a;b", "a=b", "a b", "é", "new\nline", "-leading",
		"\xff\xfe", "quo'te\"", "back\\slash", "file:x", ":memory:"}
	for _, name := range names {
		s.Check(os.RemoveAll(s.source))
		s.Check(os.Mkdir(s.source, 0o755))
		plain := filepath.Join(s.Root, "plain.db")
		os.Remove(plain)
		s.SQLite(plain, "PRAGMA journal_mode=WAL;", rowsSQL(50))
		s.Check(os.Rename(plain, filepath.Join(s.source, name)))
		for _, path := range []string{filepath.Join(s.source, name), "./" + name} {
			s.try(trial{dir: s.source, args: []string{"backup", path, "-"}}).hasRows(50)
		}
	}
	s.try(trial{dir: s.source, args: []string{"backup", "--", "-leading", "-"}, codes: []int{codeSource},
		says: []string{"-leading", "no such file"}})
}
