package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// pathFaults are about paths that lead to another database than root means.
var pathFaults = []matrixRow{
	{row: 126, name: "link of a user to a database that they may not read", try: foreignLinks},
	{row: 127, name: "database of another mount namespace, through /proc", try: otherNamespace},
}

// foreignLinks: the user nobody has a symbolic link to an application's database, before root runs
// and while it does.
func foreignLinks(s *scene) {
	s.wal()
	s.own(0o600)
	s.Check(os.Chmod(s.source, 0o755)) // or anybody could put a -shm there
	theirs := s.dir("theirs")
	link := filepath.Join(theirs, "link.db")
	s.Check(os.Symlink(s.db, link))
	s.Check(os.Lchown(link, harness.Nobody, harness.Nobody))
	for _, args := range [][]string{{"backup", link, "-"}, {"checkpoint", link}} {
		s.try(trial{args: args, codes: []int{codeSource}, says: []string{link, "symbolic link"}})
	}
	s.Check(os.Lchown(link, harness.App, harness.App))
	s.try(trial{args: []string{"backup", link, "-"}}).hasRows(500)

	s.Check(os.Lchown(link, harness.Nobody, harness.Nobody))
	small, stage := filepath.Join(theirs, "small.db"), filepath.Join(s.Root, "stage")
	s.SQLite(small, "CREATE TABLE theirs(x)")
	s.Check(os.Chown(small, harness.Nobody, harness.Nobody))
	for range swapRounds * 10 {
		stop := exchange(small, link)
		s.try(trial{args: []string{"shadow", "-q", "--keep-going", "--stage", stage, theirs, "--", "true"},
			codes: []int{codeDone, codeSource, codeBusy, codeCorrupt}, silent: true})
		stop()
		for _, name := range []string{small, link} {
			copied := filepath.Join(stage, name)
			if info, err := os.Lstat(copied); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
				continue // a link, or the place for one
			}
			if tables := s.SQLite(copied, ".tables"); tables != "theirs" {
				s.Fatalf("%s has the tables %q of the private database", name, tables)
			}
		}
	}
}

// otherNamespace: another database has the same path in this namespace, or none has.
func otherNamespace(s *scene) {
	s.wal()
	other, alone := s.dir("other"), s.dir("alone")
	s.SQLite(filepath.Join(other, "app.db"), rowsSQL(7))
	cmd := exec.Command(harness.Tool(s.TB, "unshare"), "--mount", "sh", "-ec",
		`mount --bind "$0" "$1"; mount --bind "$0" "$2"; echo; read wait`, other, s.source, alone)
	in, err := cmd.StdinPipe()
	s.Check(err)
	out, err := cmd.StdoutPipe()
	s.Check(err)
	s.Check(cmd.Start())
	s.Cleanup(func() { in.Close(); cmd.Wait() })
	out.Read(make([]byte, 1))
	for _, dir := range []string{s.source, alone} {
		there := fmt.Sprintf("/proc/%d/root%s/app.db", cmd.Process.Pid, dir)
		for _, args := range [][]string{{"backup", there, "-"}, {"shadow", filepath.Dir(there), "--", "true"}} {
			s.try(trial{args: args, codes: []int{codeSource}, says: []string{filepath.Dir(there), "namespace"}})
		}
	}
}
