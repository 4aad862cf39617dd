package faults

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// mountedLeaving is like mounted, and exits with status 99 unless dir then contains only that file.
func (s *scene) mountedLeaving(script, dir, only string) []string {
	return []string{harness.Tool(s.TB, "unshare"), "--mount", "sh", "-c",
		fmt.Sprintf(`%s; "$@"; status=$?; [ "$(ls -A %s)" = %s ] || { ls -lA %[2]s >&2; exit 99; }; exit $status`,
			script, dir, only), "sh"}
}

func noSpace(s *scene) {
	s.SQLite(s.db, rowsSQL(20000))
	s.try(trial{under: s.mounted("mount -t tmpfs -o size=2m none " + s.Temp), codes: []int{codeSpace},
		says: []string{s.Temp, "needed"}})
	s.part("filled meanwhile", func(s *scene) {
		s.SQLite(s.db, rowsSQL(40000))
		under := append(s.mounted("mount -t tmpfs -o size=16m none "+s.Temp), s.slowly(s.db, 1)...)
		p := s.start(trial{under: under, codes: []int{codeSpace}, says: []string{s.Temp}})
		inside := fmt.Sprintf("/proc/%d/root%s", p.pid(), s.Temp)
		harness.Eventually(p, "the copy begins", func() bool {
			found, _ := filepath.Glob(filepath.Join(inside, atomicfile.Prefix+"*", "image.db"))
			return len(found) > 0 || p.over()
		})
		filler, err := os.Create(filepath.Join(inside, "filler"))
		s.Check(err)
		io.Copy(filler, zeros{})
		filler.Close()
		// Either a write fails, or the look before it.
		if o := p.finish(); !strings.Contains(o.stderr, "full") && !strings.Contains(o.stderr, "needed") {
			s.Errorf("what is missing? %s", o.stderr)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// lostWrites: a write that the disk drops is found if it affects the structure. Inside a row no
// check can find it, as the README says.
func lostWrites(s *scene) {
	s.rollback()
	// The copy is written in pieces of 64 KiB.
	s.SQLite(s.db, "CREATE TABLE large AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 20000) "+
		"SELECT i, hex(randomblob(30)) AS v FROM n;")
	found := 0
	for n := 1; n < 100; n++ {
		o := s.try(trial{under: s.strace("-e", "trace=pwrite64", "-e",
			fmt.Sprintf("inject=pwrite64:retval=4096:when=%d", n)),
			codes: []int{codeDone, codeCorrupt, codeSpace}, says: []string{".db"}})
		if o.injected() == 0 {
			break
		}
		if o.code != codeDone {
			found++
		}
	}
	if found < 3 {
		s.Errorf("only %d lost writes were found", found)
	}
}

func fsyncErrors(s *scene) {
	s.rollback()
	image := s.save(s.try(trial{}).stdout)
	copied, restored := filepath.Join(s.out, "copy.db"), filepath.Join(s.out, "restored.db")
	for name, tr := range map[string]trial{
		"backup":  {args: []string{"backup", s.db, copied}, makes: []string{"copy.db", "copy.db.sha256"}},
		"zstd":    {args: []string{"backup", "--zstd", s.db, copied}, makes: []string{"copy.db"}},
		"restore": {args: []string{"restore", image, restored}, makes: []string{"restored.db"}},
	} {
		for n := 1; ; n++ {
			tr.under = s.strace("-e", "trace=fsync,fdatasync", "-e",
				fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", n))
			tr.codes, tr.says = []int{codeDone, codeSpace}, []string{"input/output error"}
			o := s.try(tr)
			s.clearOut()
			if o.injected() == 0 {
				break
			}
			if o.code == codeDone {
				s.Errorf("%s ignored a failed fsync", name)
			}
		}
	}
}

// writeBackErrors fails what writes a large file to the disk before fsync, which may then not fail.
func writeBackErrors(s *scene) {
	s.big()
	g, err := testkit.NewCgroup(200 << 20) // where 20 MB are large
	s.Check(err)
	s.Cleanup(g.Remove)
	image := s.save(s.try(trial{}).stdout)
	copied, restored := filepath.Join(s.out, "copy.db"), filepath.Join(s.out, "restored.db")
	for name, tr := range map[string]trial{
		"stdout":  {sends: true},
		"backup":  {args: []string{"backup", s.db, copied}, makes: []string{"copy.db", "copy.db.sha256"}},
		"restore": {args: []string{"restore", image, restored}, makes: []string{"restored.db"}},
		"verify":  {args: []string{"verify", "--check", "quick", image}, prints: true},
	} {
		for errno, code := range map[string]int{
			"EIO": codeSpace, "ENODATA": codeSpace, "ENOSYS": codeDone, "EPERM": codeDone,
		} {
			const call = "sync_file_range"
			tr.under = g.Command(s.strace("-e", "trace="+call, "-e", "inject="+call+":error="+errno)...)
			tr.codes, tr.says = []int{codeDone, code}, []string{call}
			o := s.try(tr)
			for tries := 1; o.injected() == 0 && tries < 20; tries++ { // fsync may come first
				s.clearOut()
				o = s.try(tr)
			}
			if s.clearOut(); o.injected() == 0 || o.code != code {
				s.Errorf("%s with %s: exit status %d after %d injected errors", name, errno, o.code, o.injected())
			}
		}
	}
}

// clearOut removes what a run has made.
func (s *scene) clearOut() {
	s.Helper()
	for _, name := range listing(s, s.out) {
		s.Check(os.RemoveAll(filepath.Join(s.out, name)))
	}
}

func oddTemp(s *scene) {
	s.rollback()
	s.try(trial{env: []string{"TMPDIR=" + s.Root + "/missing"}, codes: []int{codeSpace},
		says: []string{s.Root + "/missing", "no such file"}})
	s.try(trial{env: []string{"TMPDIR=" + s.db}, codes: []int{codeSpace}, says: []string{s.db, "not a directory"}})
	s.try(trial{args: []string{"backup", "--tmpdir", s.Root + "/missing", s.db, "-"}, codes: []int{codeSpace},
		says: []string{s.Root + "/missing"}})
	s.try(trial{under: s.mounted(fmt.Sprintf("mount --bind %s %[1]s && mount -o remount,bind,ro %[1]s", s.Temp)),
		codes: []int{codeSpace}, says: []string{s.Temp, "read-only"}})
	s.part("immutable", func(s *scene) {
		s.rollback()
		s.Check(exec.Command(harness.Tool(s.TB, "chattr"), "+i", s.Temp).Run())
		defer func() { s.Check(exec.Command(harness.Tool(s.TB, "chattr"), "-i", s.Temp).Run()) }()
		s.try(trial{codes: []int{codeSpace}, says: []string{s.Temp, "not permitted"}})
	})
	s.part("link", func(s *scene) {
		s.rollback()
		link := filepath.Join(s.Root, "link")
		s.Check(os.Symlink(s.Temp, link))
		s.Check(os.Lchown(link, harness.Nobody, harness.Nobody))
		s.try(trial{args: []string{"backup", "--tmpdir", link, s.db, "-"}, codes: []int{codeSpace},
			says: []string{link, "symbolic link of another user"}})
	})
	s.part("traps", func(s *scene) {
		s.SQLite(s.db, rowsSQL(2000))
		victim := filepath.Join(s.out, "victim")
		s.Check(os.Mkdir(victim, 0o755))
		s.Write(filepath.Join(victim, "file"), []byte("precious"))
		for i := range 5 {
			s.Check(os.Symlink(victim, filepath.Join(s.Temp, fmt.Sprintf("%s%024d", atomicfile.Prefix, i))))
		}
		foreign := filepath.Join(s.Temp, atomicfile.Prefix+strings.Repeat("f", 24))
		s.Check(os.Mkdir(foreign, 0o777))
		s.Check(os.Symlink(victim, filepath.Join(foreign, "link")))
		s.Check(os.Chown(foreign, harness.Nobody, harness.Nobody))
		p := s.start(trial{under: s.slowly(s.db, 5)})
		image := p.copying()
		for path, mode := range map[string]os.FileMode{image: 0o600, filepath.Dir(image): os.ModeDir | 0o700} {
			if info, err := os.Lstat(path); err != nil || info.Mode() != mode {
				s.Errorf("%s: %v (%v)", path, info.Mode(), err)
			}
		}
		p.finish().hasRows(2000)
	})
}

// changedCopy overwrites the copy while it is being sent: what arrives is not what was checked, and
// says so.
func changedCopy(s *scene) {
	s.big()
	for _, flags := range [][]string{nil, {"--zstd"}} {
		p := s.start(trial{args: append(append([]string{"backup"}, flags...), s.db, "-"), stall: true, spoils: true})
		p.idle() // the digest is there, too
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid()))
		s.Check(err)
		spoiled := false
		for _, fd := range fds {
			if target, _ := os.Readlink(fd); strings.Contains(target, "image.db") {
				f, err := os.OpenFile(fd, os.O_WRONLY, 0)
				s.Check(err)
				_, err = f.WriteAt([]byte("spoiled"), 15<<20)
				s.Check(err)
				s.Check(f.Close())
				spoiled = true
				break
			}
		}
		if !spoiled {
			s.Error("the copy was not found")
		}
		p.release()
		o := p.finish()
		if len(o.stdout) == 0 {
			s.Error("nothing came")
		}
		s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(o.stdout), codes: []int{codeStream},
			says: []string{"verify -", "mismatch"}})
	}
}
