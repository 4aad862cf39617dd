package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func wrongSidecars(s *scene) {
	s.rollback()
	copied := filepath.Join(s.out, "copy.db")
	s.try(trial{args: []string{"backup", s.db, copied}, makes: []string{"copy.db", "copy.db.sha256"}})
	sidecar := copied + ".sha256"
	right := string(s.Read(sidecar))
	hex, _, _ := strings.Cut(right, " ")
	s.try(trial{args: []string{"verify", copied}})
	for _, wrong := range []string{
		"", "\n", hex, hex + "\n", right + right, right + "\n",
		hex + " *copy.db\n", hex + " copy.db\n",
		strings.ToUpper(hex) + "  copy.db\n", hex + "  copy.db\r\n", hex[1:] + "  copy.db\n", "SHA256 (copy.db) = " +
			hex + "\n", strings.Repeat("x", 1<<20),
		strings.Repeat("0", 64) + "  copy.db\n",
	} {
		s.Write(sidecar, []byte(wrong))
		for _, args := range [][]string{{"verify", copied}, {"verify", "--sidecar", sidecar, copied},
			{"restore", copied, filepath.Join(s.out, "new.db")}} {
			s.try(trial{args: args, codes: []int{codeStream}, says: []string{"copy.db"}})
		}
	}
	for _, other := range []string{"other.db", "../copy.db", copied} { // a file that was renamed has its sidecar named
		s.Write(sidecar, []byte(hex+"  "+other+"\n"))
		s.try(trial{args: []string{"verify", copied}, codes: []int{codeStream}, says: []string{"copy.db"}})
		s.try(trial{args: []string{"verify", "--sidecar", sidecar, copied}})
	}
	s.Check(os.Remove(sidecar))
	s.try(trial{args: []string{"verify", copied}, codes: []int{codeStream}, says: []string{"copy.db", "no trailer",
		"--sha256", "--sidecar", "--unproven"}})
	s.try(trial{args: []string{"verify", "--sidecar", sidecar, copied}, codes: []int{codeSource},
		says: []string{"copy.db.sha256", "no such file"}})
}

// targetTaken checks that a restore is refused because of what block has put in its way.
func (s *scene) targetTaken(block func(path string) error, inTheWay string) {
	s.Helper()
	raw, _ := s.streams()
	target := filepath.Join(s.out, "new.db")
	s.Check(block(target))
	s.try(trial{args: []string{"restore", "-", target}, stdin: bytes.NewReader(raw), codes: []int{codeExists},
		says: []string{inTheWay, "exists"}})
	s.try(trial{args: []string{"restore", s.save(raw), target}, codes: []int{codeExists},
		says: []string{inTheWay, "exists"}})
}

// targetAppears creates the target, or a file that belongs to it, after the restore has begun.
func (s *scene) targetAppears(suffix string) {
	s.Helper()
	raw, _ := s.streams()
	target := filepath.Join(s.out, "new.db")
	r, w, err := os.Pipe()
	s.Check(err)
	p := s.start(trial{args: []string{"restore", "-", target}, stdin: r, codes: []int{codeExists},
		says: []string{"new.db" + suffix, "exists"}})
	r.Close()
	_, err = w.Write(raw[:len(raw)-1])
	s.Check(err)
	harness.Eventually(p, "it has begun", func() bool {
		found, _ := filepath.Glob(filepath.Join(s.out, ".sqlite-checkpoint-*", "image.db"))
		return len(found) > 0 || p.over()
	})
	s.Write(target+suffix, []byte("precious"))
	p.before[2]["new.db"+suffix], err = testkit.DescribeFile(target + suffix)
	s.Check(err)
	_, err = w.Write(raw[len(raw)-1:])
	s.Check(err)
	s.Check(w.Close())
	p.finish()
}

// noLinks restores to a file system that supports neither link(2) nor RENAME_NOREPLACE.
func noLinks(s *scene) {
	raw, _ := s.streams()
	target := filepath.Join(s.out, "new.db")
	for _, call := range []string{"linkat", "linkat,renameat2"} {
		o := s.try(trial{args: []string{"restore", "-", target}, stdin: bytes.NewReader(raw),
			codes: []int{codeDone, codeSpace}, makes: []string{"new.db"},
			says:  []string{"new.db", "a rename that replaces nothing"},
			under: s.strace("-e", "trace="+call, "-e", "inject="+call+":error=EPERM")})
		if want := strings.Contains(call, ","); o.injected() == 0 || (o.code != codeDone) != want {
			s.Errorf("without %s: exit status %d, %d injected", call, o.code, o.injected())
		}
		s.clearOut()
	}
}

// syncOrder checks with a trace that a name appears only once the bytes are durable, and is itself
// durable before success is reported.
func syncOrder(s *scene) {
	raw, _ := s.streams()
	for name, c := range map[string]struct {
		args  []string
		makes []string
	}{
		"restore": {[]string{"restore", s.save(raw), filepath.Join(s.out, "new.db")}, []string{"new.db"}},
		"backup":  {[]string{"backup", s.db, filepath.Join(s.out, "new.db")}, []string{"new.db", "new.db.sha256"}},
		"zstd":    {[]string{"backup", "--zstd", s.db, filepath.Join(s.out, "new.db")}, []string{"new.db"}},
		"report": {[]string{"backup", "--report", filepath.Join(s.out, "report"), s.db, filepath.Join(s.out, "new.db")},
			[]string{"new.db", "new.db.sha256", "report"}},
	} {
		o := s.try(trial{args: c.args, makes: c.makes, under: s.strace("-y", "-e",
			"trace=fsync,fdatasync,linkat,renameat2,renameat,rename,write,pwrite64,exit_group")})
		for _, made := range c.makes {
			s.durable(name, o.trace, made)
		}
		s.clearOut()
	}
	redirected := filepath.Join(s.Root, "redirected")
	o := s.try(trial{args: []string{"backup", s.db, "-"}, prints: true,
		under: append(s.strace("-y", "-e", "trace=fsync"), "sh", "-c", `exec "$@" >"$0"`, redirected)})
	if !strings.Contains(o.trace, "fsync(1<"+redirected+">) = 0") {
		s.Errorf("a file that standard output goes to is not synced:\n%s", o.trace)
	}
	shardsOrder(s)
}

// shardsOrder checks with a trace that shards change only while there is no trailer, and that the
// trailer is back only once all of them are durable.
func shardsOrder(s *scene) {
	dir := filepath.Join(s.Root, "shards")
	synced := func(name string) string { return `fsync\(\d+<` + regexp.QuoteMeta(dir) + name + `>\) = 0` }
	const aside, first, trailer = `/\.sqlite-checkpoint-[0-9a-f]+/`, "/000000000", "/999999999"
	const moves, restored = `renameat\([^\n]*"part-`, `renameat\([^\n]*"content"[^\n]* = 0`
	const removed, shrunk = `unlinkat\([^\n]*"99", 0\) = 0`, `unlinkat\([^\n]*/000000[0-9]+>, "..", 0\) = 0`
	const made, killed = `mkdirat\([^\n]*"000000001", 0700\) = 0`, "-- killed before the trailer was back"
	for _, run := range []struct {
		sql   string
		order []string // of system calls
	}{
		{"", []string{synced(aside + "part-[0-9a-f]+"), moves, synced(first), synced(""), restored, synced(trailer)}},
		{"UPDATE t SET v = 'changed' WHERE id = 1;", []string{removed, synced(trailer), moves, restored}},
		{"UPDATE t SET v = 'again' WHERE id = 1;", []string{synced(aside + "content"), removed, restored}},
		{"INSERT INTO t(v) SELECT hex(randomblob(500)) FROM generate_series(1, 500);",
			[]string{`syncfs\([^\n]* = 0`, made, removed, moves, synced(first), synced(""), restored}},
		{"DELETE FROM t; VACUUM;", []string{shrunk, synced(""), restored, synced(trailer)}},
		{"-- killed before the last step", []string{synced(trailer)}},
		{killed, []string{synced(first), synced(""), restored, synced(trailer)}},
	} {
		if run.sql == killed {
			s.Check(os.Remove(dir + trailer + "/99"))
		}
		s.SQLite(s.db, run.sql)
		o := s.try(trial{args: []string{"backup", "--shards", "4KiB", s.db, dir}, prints: true, under: s.strace("-y",
			"-e", "trace=fsync,fdatasync,syncfs,unlinkat,renameat,mkdirat,exit_group")})
		if !regexp.MustCompile(`(?s)` + strings.Join(run.order, `.*`)).MatchString(o.trace) {
			s.Errorf("shards, after %q: not in this order: %q:\n%s", run.sql, run.order, o.trace)
		}
	}
}

// durable checks the order in a trace with paths: fsync of the file, link to its name, fsync of the
// directory.
func (s *scene) durable(name, trace, made string) {
	s.Helper()
	link := strings.LastIndex(trace, fmt.Sprintf("<%s>, %q", s.out, made))
	if link < 0 {
		s.Fatalf("%s: no link to %s:\n%s", name, made, trace)
	}
	line := trace[strings.LastIndex(trace[:link], "\n")+1 : link]
	_, from, _ := strings.Cut(line, "<") // linkat(8<directory>, "name", ...
	from, _, _ = strings.Cut(strings.Replace(from, ">, \"", "/", 1), "\"")
	file := strings.LastIndex(trace[:link], "<"+from+">) = 0")
	if file < 0 || !strings.Contains(trace[strings.LastIndex(trace[:file], "\n")+1:file], "sync(") {
		s.Errorf("%s: %s is not synced before it is called %s:\n%s", name, from, made, trace)
	}
	if written := strings.LastIndex(trace[:link], "<"+from+">, "); written > file {
		s.Errorf("%s: %s is written to after it was synced", name, from)
	}
	if !strings.Contains(trace[link:], "<"+s.out+">) = 0") {
		s.Errorf("%s: the directory is not synced after %s was made:\n%s", name, made, trace)
	}
}
