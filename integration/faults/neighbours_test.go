package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

// copiesBesideStranger is how many backups are taken beside a writer that our locks do not reach.
const copiesBesideStranger = 5

// neighbourFaults are about others that use the source: by another name, through another file
// system, as another owner.
var neighbourFaults = []matrixRow{
	{row: 112, name: "FUSE between the application and the backup", try: func(s *scene) {
		for _, mode := range []string{"DELETE", "WAL"} {
			s.part(mode, func(s *scene) { s.besideStranger(mode, s.fuse()) })
		}
	}},
	{row: 113, name: "overlayfs between the application and the backup", try: func(s *scene) {
		for _, mode := range []string{"DELETE", "WAL"} {
			s.part(mode+", above", func(s *scene) { s.besideStranger(mode, s.overlay(s.dir("lower"), s.source, "")) })
			s.part(mode+", below", func(s *scene) { s.besideStranger(mode, s.overlay(s.source, s.dir("upper"), "")) })
		}
	}},
	{row: 128, name: "change in a layer of overlayfs that the mount does not show", try: func(s *scene) {
		for _, c := range hiddenChanges {
			s.part(c.name+", above", func(s *scene) { s.tryHidden(c, s.dir("lower"), s.source) })
			s.part(c.name+", below", func(s *scene) { s.tryHidden(c, s.source, s.dir("upper")) })
		}
		s.part("doctor", func(s *scene) {
			s.rollback()
			look := "test -e " + filepath.Join(s.dir("merged"), "app.db")
			change := fmt.Sprintf("cp %s %[1]s.new; mv %[1]s.new %[1]s", s.db)
			under, db := s.overlay(s.source, s.dir("upper"), look+"; "+change)()
			s.try(trial{moves: true, prints: true, under: under, args: []string{"doctor", db}, codes: []int{codeSource},
				says: []string{db}})
		})
	}},
	{row: 114, name: "file that is mounted on its own", try: func(s *scene) {
		alone := filepath.Join(s.dir("alone"), "app.db")
		s.wal()
		s.Open(s.db, moreRows)
		s.Write(alone, nil)
		under := s.mounted(fmt.Sprintf("mount --bind %s %s", s.db, alone))
		for _, command := range []string{"backup", "checkpoint"} {
			args := []string{command, "--busy-timeout", "300ms", alone}
			if command == "backup" {
				args = append(args, "-")
			}
			s.try(trial{under: under, args: args, codes: []int{codeSource}, says: []string{alone, "-wal"}})
		}
	}},
	{row: 115, name: "-wal deleted under its application, and made again by another", try: func(s *scene) {
		s.part("deleted", func(s *scene) {
			s.wal()
			s.Open(s.db, moreRows)
			s.Check(os.Remove(s.db + "-wal"))
			s.try(trial{args: s.waiting(), codes: []int{codeSource}, says: []string{"app.db", "deleted"}})
		})
		s.part("made again", func(s *scene) {
			s.wal()
			app := s.Open(s.db, moreRows)
			s.Check(errors.Join(os.Remove(s.db+"-wal"), os.Remove(s.db+"-shm")))
			s.Open(s.db, moreRows)
			s.try(trial{args: s.waiting(), codes: []int{codeSource},
				says: []string{"app.db", fmt.Sprintf("process %d (sqlite3)", app.Pid()), "deleted"}})
		})
	}},
	{row: 116, name: "checkpoint through FUSE", try: func(s *scene) {
		s.crashed("-wal", "-shm")
		under, db := s.fuse()()
		s.try(trial{under: under, args: []string{"checkpoint", db}, codes: []int{codeSource},
			says: []string{db, "fuse"}})
		o := s.try(trial{under: under, args: []string{"snapshot", db, "-"}})
		o.hasRows(600)
		o.warns("no checkpoint")
		left := filepath.Join(s.dir("real"), atomicfile.Prefix+strings.Repeat("0", 24))
		s.Check(os.Mkdir(left, 0o700)) // another machine may be using it
		s.try(trial{args: []string{"backup", "--report", filepath.Join(s.dir("through"), "report"), s.db, "-"},
			under: s.alone(fmt.Sprintf("%s %s %s", harness.Tool(s.TB, "bindfs"), s.dir("real"), s.dir("through")))})
		if _, err := os.Lstat(left); err != nil {
			s.Errorf("a young private directory was removed: %v", err)
		}
	}},
	{row: 124, name: "private copy on FUSE, which keeps open files", try: func(s *scene) {
		s.wal()
		real, through := s.dir("real"), s.dir("through")
		o := s.try(trial{args: []string{"backup", "--tmpdir", through, s.db, "-"},
			under: s.alone(fmt.Sprintf("%s %s %s", harness.Tool(s.TB, "bindfs"), real, through))})
		o.hasRows(500)
		if left, err := os.ReadDir(real); err != nil || len(left) > 0 {
			s.Errorf("left behind: %v, %v", left, err)
		}
	}},
	{row: 117, name: "file of root's in place of -wal, -shm or -journal", try: func(s *scene) {
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			s.part(suffix, func(s *scene) {
				s.wal()
				s.own(0o644)
				s.Check(os.WriteFile(s.db+suffix, []byte("root's own"), 0o600))
				s.try(trial{args: s.waiting(), codes: []int{codeSource}, says: []string{"app.db" + suffix,
					"belongs to uid 0"}})
				s.try(trial{args: []string{"checkpoint", "--busy-timeout", "300ms", s.db}, codes: []int{codeSource},
					says: []string{"app.db" + suffix}})
			})
		}
	}},
	{row: 118, name: "application that opens while root makes a -shm", try: func(s *scene) {
		s.crashed("-wal")
		s.own(0o644)
		p := s.start(trial{moves: true, args: []string{"checkpoint", s.db},
			under: s.straceAll("-e", "trace=fchown", "-e", "inject=fchown:delay_enter=1000000")})
		harness.Eventually(s, "a -shm", func() bool { _, err := os.Stat(s.db + "-shm"); return err == nil })
		s.OpenAs(harness.App, s.db, "PRAGMA busy_timeout=20000;", moreRows, moreRows).Close()
		p.finish()
		s.stillWrites(800)
	}},
	{row: 119, name: "destination that hangs while the source is copied", try: func(s *scene) {
		for what, args := range map[string][]string{"file": {}, "compressed file": {"--zstd", "--timeout", "3s"},
			"shards": {"--shards", "64KiB", "--timeout", "3s"}} {
			s.part(what, func(s *scene) { s.copiesBesideHang(args) })
		}
	}},
	{row: 125, name: "destination that hangs while it is written", try: func(s *scene) {
		s.part("file", func(s *scene) { s.writtenBesideHang("image.db", "--timeout", "3s") })
		s.part("compressed file", func(s *scene) { s.writtenBesideHang("content", "--timeout", "3s", "--zstd") })
	}},
	{row: 120, name: "WAL database cut by bytes and by pages", try: func(s *scene) {
		for _, cut := range []int64{1, 3000, 4096} {
			s.part(fmt.Sprint(cut), func(s *scene) {
				s.crashedOf("PRAGMA journal_mode=WAL; "+rowsSQL(500)+" CREATE TABLE blob(b); INSERT INTO blob "+
					"VALUES(zeroblob(100000));", "-wal", "-shm") // the last pages are not in the -wal
				info, err := os.Stat(s.db)
				s.Check(err)
				s.Check(os.Truncate(s.db, info.Size()-cut))
				s.try(trial{codes: []int{codeCorrupt}, says: []string{"app.db", "truncated"}})
			})
		}
	}},
}

// besideStranger takes backups of a database that a writer writes to through another path: each is
// right, or refused with a reason.
func (s *scene) besideStranger(mode string, way func() (under []string, db string)) {
	s.Helper()
	s.SQLite(s.db, "PRAGMA journal_mode="+mode+";", ledger.Schema)
	writer := ledger.Start(s.TB, ledger.Order{DB: s.db, BusyTimeout: 30 * time.Second})
	for range copiesBesideStranger {
		under, db := way()
		s.try(trial{moves: true, under: under, args: []string{"backup", "--busy-timeout", "300ms", db, "-"},
			codes: []int{codeDone, codeSource, codeBusy}, says: []string{db}}).holds(ledger.Sum, ledger.Total)
	}
	if did := writer.Stop(); did.Commits == 0 {
		s.Error("the writer has written nothing")
	}
}

// dir creates a directory beside the others.
func (s *scene) dir(name string) string {
	s.Helper()
	dir := filepath.Join(s.Root, name)
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		s.Fatal(err)
	}
	return dir
}

// alone returns a command line that runs the script and then another command in a new mount and
// process namespace: a FUSE server ends with it.
func (s *scene) alone(script string) []string {
	return []string{harness.Tool(s.TB, "unshare"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh",
		"-ec", script + "\n\"$@\"", "sh"}
}

// fuse leads to the source by way of FUSE.
func (s *scene) fuse() func() (under []string, db string) {
	through := s.dir("fuse")
	return func() ([]string, string) {
		return s.alone(fmt.Sprintf("%s %s %s", harness.Tool(s.TB, "bindfs"), s.source, through)),
			filepath.Join(through, "app.db")
	}
}

// A hiddenChange is made to a file in its layer, after it has been looked up through overlayfs.
type hiddenChange struct {
	name, file   string
	make         func(s *scene)
	hide, change string // shell commands in the layer, before the mount and after it
}

var hiddenChanges = []hiddenChange{
	{"new -journal", "app.db-journal", (*scene).hot, "mv app.db-journal j", "mv j app.db-journal"},
	{"new -journal during the copy", "app.db-journal", (*scene).hot, "mv app.db-journal j",
		"(sleep 0.5; mv j app.db-journal) &"},
	{"new -wal", "app.db-wal", func(s *scene) { s.crashed("-wal") }, "mv app.db-wal w", "mv w app.db-wal"},
	{"deleted -wal", "app.db-wal", func(s *scene) { s.crashed("-wal") }, "", "rm app.db-wal"},
	{"database replaced", "app.db", (*scene).rollback, "cp app.db new", "mv new app.db"},
}

// tryHidden wants a backup through overlayfs to be refused, with the name of the file.
func (s *scene) tryHidden(c hiddenChange, lower, upper string) {
	s.Helper()
	c.make(s)
	s.Check(exec.Command("sh", "-ec", "cd "+s.source+"; "+c.hide).Run())
	file := filepath.Join(s.dir("merged"), c.file)
	under, db := s.overlay(lower, upper, fmt.Sprintf("test ! -e %s || true; cd %s; %s", file, s.source, c.change))()
	s.try(trial{moves: true, under: slices.Concat(under, s.slowly(db, 100)),
		args: []string{"backup", "--busy-timeout", "300ms", db, "-"}, codes: []int{codeSource},
		says: []string{file, "overlayfs"}})
}

// overlay leads to the source by way of overlayfs. The script then runs once that is mounted.
func (s *scene) overlay(lower, upper, then string) func() (under []string, db string) {
	through := s.dir("merged")
	script := fmt.Sprintf("mount -t overlay overlay -o lowerdir=%s,upperdir=%s,workdir=%s %s\n%s", lower, upper,
		s.dir("work"), through, then)
	return func() ([]string, string) { return s.alone(script), filepath.Join(through, "app.db") }
}

// copiesBesideHang wants a writer in rollback mode not to wait for the destination, and the program
// not to wait for long.
func (s *scene) copiesBesideHang(flags []string) {
	s.Helper()
	s.big()
	under, dir, stopped, end := s.hanging(filepath.Join(s.Temp, privateImage))
	p := s.start(trial{under: under, moves: true, codes: []int{codeSpace}, says: []string{dir, "hangs"},
		args: slices.Concat([]string{"backup"}, flags, []string{s.db, filepath.Join(dir, "copy")})})
	harness.Eventually(s, "the copy", func() bool { _, err := os.Stat(stopped); return err == nil })
	begin := time.Now()
	s.SQLite(s.db, ".timeout 60000", "INSERT INTO t(v) VALUES('during');")
	if waited := time.Since(begin); waited > 5*time.Second {
		s.Errorf("a commit took %v", waited)
	}
	late := time.AfterFunc(time.Minute, end)
	if p.finish(); !late.Stop() {
		s.Error("it waits for the destination")
	}
}

// writtenBesideHang wants the program to give up. What waits for an answer to a write of its own
// cannot even be killed, so the file system ends when the program has said so.
func (s *scene) writtenBesideHang(file string, flags ...string) {
	s.Helper()
	s.big()
	report := filepath.Join(s.Root, "report")
	under, dir, _, end := s.hanging(filepath.Join(s.dir("real"), atomicfile.Prefix+"*", file))
	p := s.start(trial{under: under, codes: []int{codeSpace}, says: []string{dir, "hangs"},
		args: slices.Concat([]string{"backup", "--report", report}, flags, []string{s.db, filepath.Join(dir, "copy")})})
	harness.Eventually(s, "the end", func() bool {
		said, _ := os.ReadFile(report)
		return strings.Contains(string(said), "hangs")
	})
	end()
	p.finish()
	if left := s.left(s.dir("real")); left == 0 {
		s.Error("it did not hang")
	}
	if _, err := os.Stat(filepath.Join(s.dir("real"), "copy")); err == nil {
		s.Error("half a file was published")
	}
}

// privateImage is the pattern of the name of an image that is being made.
const privateImage = atomicfile.Prefix + "*/image.db"

// hanging is a FUSE file system that stops answering as soon as something has been written to the
// file, until its end.
func (s *scene) hanging(file string) (under []string, dir, stopped string, end func()) {
	dir, real := s.dir("hanging"), s.dir("real")
	stopped, over := filepath.Join(s.Root, "stopped"), filepath.Join(s.Root, "over")
	script := []string{
		fmt.Sprintf("%s -f %s %s & server=$!", harness.Tool(s.TB, "bindfs"), real, dir),
		fmt.Sprintf("until mountpoint -q %s; do sleep 0.01; done", dir),
		fmt.Sprintf("(until [ -s %s ]; do :; done; kill -STOP $server; : >%s", file, stopped),
		fmt.Sprintf("until [ -e %s ]; do sleep 0.01; done; kill -KILL $server) &", over),
	}
	return s.alone(strings.Join(script, "\n")), dir, stopped, func() { s.Write(over, nil) }
}
