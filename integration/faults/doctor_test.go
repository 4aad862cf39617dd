package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// A forecast is what doctor says about a backup.
type forecast struct {
	Path       string
	ExitStatus int `json:"exit_status"`
	Check      string
	Findings   []struct{ Code, Evidence string }
}

// forecasts has the forecast for each database.
func forecasts(stdout []byte) ([]forecast, error) {
	var result struct{ Databases []forecast }
	err := json.Unmarshal(stdout, &result)
	return result.Databases, err
}

// foreseen runs doctor just before a trial runs backup. It returns nil if the trial is not a plain
// backup of an undisturbed source.
func (p *running) foreseen(env []string) *forecast {
	p.Helper()
	tr := p.trial
	n := len(tr.args)
	if tr.args[0] != "backup" || tr.args[n-1] != "-" || tr.moves || tr.stall || tr.silent || tr.stdin != nil ||
		tr.stdout != nil {
		return nil
	}
	if flags := tr.args[1 : n-2]; len(flags) > 0 && (len(flags) != 2 ||
		!slices.Contains([]string{"--busy-timeout", "--tmpdir"}, flags[0])) {
		return nil
	}
	if !foreseeable(tr.under) {
		return nil
	}
	f := p.doctor(tr.under, env)
	asRoot := len(tr.under) == 0 || filepath.Base(tr.under[0]) != "setpriv"
	if f != nil && asRoot && os.Getenv("DOCTOR_USERS") != "" { // takes minutes
		p.foreseenByOthers(env)
	}
	return f
}

// foreseeable reports whether the command that runs the program has the same effect on doctor: a
// fault that strace injects would not happen to it, or would be used up by it.
func foreseeable(under []string) bool {
	if len(under) == 0 {
		return true
	}
	traced := slices.ContainsFunc(under, func(arg string) bool { return filepath.Base(arg) == "strace" })
	switch filepath.Base(under[0]) {
	case "setpriv", "unshare":
		return !traced
	case "prlimit":
		return strings.HasPrefix(under[1], "--fsize=")
	}
	return false
}

// doctor returns what doctor says about the source of the trial.
func (p *running) doctor(under, env []string) *forecast {
	p.Helper()
	tr := p.trial
	argv := slices.Concat(under, []string{p.Program, "--json", "doctor"})
	if tr.args[1] == "--tmpdir" {
		argv = append(argv, tr.args[1:3]...)
	}
	argv = append(argv, tr.args[len(tr.args)-2])
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = tr.dir, env
	out, err := cmd.Output()
	if all, bad := forecasts(out); bad == nil && len(all) == 1 {
		return &all[0]
	}
	p.Errorf("%q: %v\n%s", argv, err, out)
	return nil
}

// foreseenByOthers compares doctor with backup, run by the owner of the source and by a stranger.
// All files belong to the owner meanwhile.
func (p *running) foreseenByOthers(env []string) {
	p.Helper()
	chown := func(name string, uid int) { p.Check(os.Lchown(filepath.Join(p.source, name), uid, uid)) }
	for _, name := range append(harness.Names(p.TB, p.source), ".") {
		info, err := os.Lstat(filepath.Join(p.source, name))
		p.Check(err)
		chown(name, harness.App)
		defer chown(name, int(info.Sys().(*syscall.Stat_t).Uid))
	}
	time.Sleep(30 * time.Millisecond) // what was changed just now cannot be guarded
	for who, uid := range map[string]int{"owner": harness.App, "stranger": harness.Nobody} {
		under := slices.Concat(p.trial.under, p.user(uid))
		p.Logf("%s:", who)
		f := p.doctor(under, env)
		argv := slices.Concat(under, []string{p.Program}, p.trial.args)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir, cmd.Env = p.trial.dir, env
		out, _ := cmd.Output()
		p.judgeForecast(f, harness.Status(cmd.ProcessState), out)
	}
}

var checkLevel = regexp.MustCompile(` check=([a-z]+) `)

// judgeForecast compares what doctor said with what backup did.
func (p *running) judgeForecast(f *forecast, code int, stdout []byte) {
	p.Helper()
	if f == nil || code > 128 { // of a signal
		return
	}
	if p.hidden && f.ExitStatus == codeDone && code == codeCorrupt {
		p.Logf("only the check could find it")
		return
	}
	level := ""
	if code == codeDone && len(stdout) > 256 {
		level = strings.Join(checkLevel.FindStringSubmatch(string(stdout[len(stdout)-256:]))[1:], "")
	}
	p.Logf("as doctor said: exit status %d, %s check", code, level)
	if f.ExitStatus != code || f.Check != level {
		p.Errorf("doctor said exit status %d, %s check (%v); there was %d, %s",
			f.ExitStatus, f.Check, f.Findings, code, level)
	}
}

// doctorStates are those states of a source in rows 35 to 54 that do not change by themselves.
var doctorStates = map[string]func(s *scene){
	"rollback":            (*scene).rollback,
	"WAL, closed":         (*scene).wal,
	"crashed":             func(s *scene) { s.crashed("-wal", "-shm") },
	"crashed, no -shm":    func(s *scene) { s.crashed("-wal") },
	"hot journal":         (*scene).hot,
	"hot journal and WAL": func(s *scene) { s.hot(); s.patch(18, 2, 2) },
	"empty journal":       func(s *scene) { s.rollback(); s.Write(s.db+"-journal", nil) },
	"empty WAL":           func(s *scene) { s.wal(); s.Write(s.db+"-wal", nil) },
	"garbage for a WAL":   func(s *scene) { s.wal(); s.Write(s.db+"-wal", randomBytes(20000)) },
	"header for a WAL":    func(s *scene) { s.crashed("-wal", "-shm"); s.Check(os.Truncate(s.db+"-wal", 32)) },
	"garbage and a -shm":  func(s *scene) { s.crashed("-shm"); s.Write(s.db+"-wal", randomBytes(20000)) },
	"link for a WAL":      func(s *scene) { s.wal(); s.Check(os.Symlink("app.db-elsewhere", s.db+"-wal")) },
	"link for a journal":  func(s *scene) { s.rollback(); s.Check(os.Symlink("app.db", s.db+"-journal")) },
	"empty -wal and -shm": func(s *scene) { s.wal(); s.Write(s.db+"-wal", nil); s.Write(s.db+"-shm", nil) },
	"cut short":           func(s *scene) { s.rollback(); s.Check(os.Truncate(s.db, 8192)) },
	"virtual table of an unknown module": func(s *scene) {
		s.SQLite(s.db, rowsSQL(20), "PRAGMA writable_schema=ON;",
			"INSERT INTO sqlite_schema VALUES('table','x','x',0,'CREATE VIRTUAL TABLE x USING spellfix1(a)');")
	},
	"full-text and R*tree tables": func(s *scene) {
		s.SQLite(s.db, "CREATE TABLE c(a,b); CREATE VIRTUAL TABLE f5 USING fts5(a, content=c, tokenize='porter');",
			"CREATE VIRTUAL TABLE f4 USING fts4(content='c', a); CREATE VIRTUAL TABLE r USING rtree(id,x,y);",
			"CREATE TABLE w(a TEXT COLLATE NOCASE PRIMARY KEY, b) WITHOUT ROWID; CREATE VIEW v AS SELECT * FROM f5;",
			"INSERT INTO f5(f5) VALUES('rebuild'); CREATE TRIGGER g AFTER INSERT ON c BEGIN DELETE FROM w; END;")
	},
	"unreadable":       func(s *scene) { s.rollback(); s.hide("") },
	"unreadable -wal":  func(s *scene) { s.crashed("-wal", "-shm"); s.hide("-wal") },
	"unreadable -shm":  func(s *scene) { s.crashed("-wal", "-shm"); s.hide("-shm") },
	"only its owner's": func(s *scene) { s.crashed("-wal", "-shm"); s.hide("-wal"); s.hide("-shm"); s.hide("") },
	"live": func(s *scene) {
		s.wal()
		s.own(0o644)
		s.OpenAs(harness.App, s.db, moreRows)
	},
	"held exclusively": func(s *scene) {
		s.rollback()
		s.own(0o644)
		s.OpenAs(harness.App, s.db, "BEGIN EXCLUSIVE;")
	},
	"held exclusively in WAL mode": func(s *scene) {
		s.wal()
		s.own(0o644)
		s.OpenAs(harness.App, s.db, "PRAGMA locking_mode=EXCLUSIVE;", moreRows)
	},
	"reserved by a writer": func(s *scene) {
		s.rollback()
		s.own(0o644)
		s.OpenAs(harness.App, s.db, "BEGIN IMMEDIATE;", moreRows)
	},
	"-wal deleted": func(s *scene) {
		s.wal()
		s.own(0o644)
		s.OpenAs(harness.App, s.db, moreRows)
		s.Check(os.Remove(s.db + "-wal"))
	},
}

// hide makes a file readable for its owner only.
func (s *scene) hide(suffix string) { s.Helper(); s.Check(os.Chmod(s.db+suffix, 0o600)) }

// TestDoctorForesees runs doctor and then backup on every state, as each user.
func TestDoctorForesees(t *testing.T) {
	for name, state := range doctorStates {
		for who, uid := range map[string]int{"root": 0, "owner": harness.App, "stranger": harness.Nobody} {
			t.Run(name+"/"+who, func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				state(s)
				s.Check(os.Chown(s.source, harness.App, harness.App))
				for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
					if err := os.Lchown(s.db+suffix, harness.App, harness.App); err != nil && !os.IsNotExist(err) {
						t.Fatal(err)
					}
				}
				time.Sleep(30 * time.Millisecond) // what was written just now cannot be guarded
				tr := trial{args: s.waiting(), codes: []int{codeDone, codeSource, codeBusy, codeCorrupt}}
				if uid != 0 {
					tr.under = s.user(uid)
				}
				p := s.start(tr)
				if p.forecast == nil {
					t.Fatal("doctor said nothing")
				}
				p.finish()
			})
		}
	}
}

// TestDoctorTouchesNothing checks the system calls on databases in every state: none locks or
// writes.
func TestDoctorTouchesNothing(t *testing.T) {
	s := newScene(t)
	for name, state := range doctorStates {
		dir := strings.ReplaceAll(name, " ", "-")
		part := &scene{Bench: &harness.Bench{TB: t, Root: filepath.Join(s.Root, dir)}, source: filepath.Join(s.source,
			dir)}
		part.db = filepath.Join(part.source, "app.db")
		s.Check(os.Mkdir(part.Root, 0o755))
		s.Check(os.Mkdir(part.source, 0o755))
		state(part)
	}
	o := s.try(trial{args: []string{"--json", "doctor", s.source}, under: s.straceAll("-y", "-e", "trace=%file,%desc"),
		prints: true, silent: true, codes: []int{codeCorrupt}})
	if all, err := forecasts(o.stdout); err != nil || len(all) != len(doctorStates) {
		t.Errorf("%d databases, want %d (%v)", len(all), len(doctorStates), err)
	}
	looks := 0
	for call := range strings.Lines(o.trace) {
		if !strings.Contains(call, s.source) && !strings.Contains(call, s.Temp) {
			continue
		}
		looks++
		for _, forbidden := range []string{"SETLK", "flock(", "O_RDWR", "O_WRONLY", "O_CREAT", "O_TRUNC", "mkdir",
			"unlink", "rename", "link(", "chmod", "chown", "utimens", "truncate", "pwrite", "write(", "mmap("} {
			if strings.Contains(call, forbidden) && !strings.Contains(call, "readlink") &&
				!strings.Contains(call, "write(1<") {
				t.Errorf("%s: %s", forbidden, call)
			}
		}
	}
	if looks < 20*len(doctorStates) {
		t.Errorf("the trace shows %d calls only", looks)
	}
}

// TestDoctorOfMany examines many small databases, some of them in use.
func TestDoctorOfMany(t *testing.T) {
	const databases = 500
	s := newScene(t)
	s.rollback()
	data := s.Read(s.db)
	for i := range databases - 1 {
		s.Write(filepath.Join(s.source, fmt.Sprintf("%d.db", i)), data)
	}
	s.Open(filepath.Join(s.source, "7.db"), "BEGIN EXCLUSIVE;")
	o := s.try(trial{args: []string{"--json", "doctor", s.source},
		prints: true, codes: []int{codeBusy}, silent: true, weigh: true})
	all, err := forecasts(o.stdout)
	ready := 0
	for _, f := range all {
		if f.ExitStatus == codeDone {
			ready++
		}
	}
	if err != nil || len(all) != databases || ready != databases-1 {
		t.Errorf("%d of %d databases are ready (%v), want all of %d but one", ready, len(all), err, databases)
	}
	o.modest(10*time.Second, 200)
}
