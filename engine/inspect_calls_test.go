package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// The system calls are the proof: everything is opened for reading, nothing is locked, nothing is
// changed.
func TestInspectSystemCalls(t *testing.T) {
	if db := os.Getenv("INSPECT_UNDER_STRACE"); db != "" {
		if _, err := Inspect(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if p, err := Predict(t.Context(), db, SnapshotOptions{}); err != nil {
			t.Fatal(p, err)
		}
		return
	}
	for name, fixture := range map[string]fixture{"live": liveWAL, "closed": walDatabase, "rollback": spilled} {
		t.Run(name, func(t *testing.T) {
			db := fixture(t)
			trace := traceInspect(t, db)
			if !strings.Contains(trace, "F_OFD_GETLK") || !strings.Contains(trace, db) {
				t.Errorf("the trace does not show the inspection:\n%s", trace)
			}
			for line := range strings.Lines(trace) {
				if bad := forbiddenCall(line, filepath.Dir(db)); bad != "" {
					t.Errorf("%s: %s", bad, line)
				}
			}
		})
	}
}

func traceInspect(t *testing.T, db string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(testkit.Tool(t, "strace"), "-f", "-y", "-s", "300", "-o", out, "-e", "trace=%file,%desc",
		os.Args[0], "-test.run=^TestInspectSystemCalls$")
	cmd.Env = append(os.Environ(), "INSPECT_UNDER_STRACE="+db)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace: %v\n%s", err, output)
	}
	trace, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return testkit.WholeCalls(string(trace))
}

// forbiddenCall returns what is wrong with a line of a trace, if it is about the directory.
func forbiddenCall(line, dir string) string {
	if !strings.Contains(line, dir) {
		return ""
	}
	for _, call := range []string{"F_SETLK", "F_OFD_SETLK", "flock(", "F_SETLEASE"} {
		if strings.Contains(line, call) {
			return "a lock"
		}
	}
	if strings.Contains(line, "openat(") && (!strings.Contains(line, "O_RDONLY") || strings.Contains(line, "O_CREAT")) {
		return "opened for writing"
	}
	for _, call := range []string{"execve(", "openat(", "close(", "fstat(", "newfstatat(", "read(", "pread64(",
		"readlink(", "readlinkat(", "statfs(",
		"fcntl(", "epoll_ctl(", "faccessat2(", "statx(", "stat(", "lstat(", "getdents64("} {
		if strings.Contains(line, call) {
			return ""
		}
	}
	return "not a call that only reads"
}

// Small databases are inspected in no time. The quickest of several tries counts, as the machine
// may be busy.
func TestInspectIsQuick(t *testing.T) {
	db := liveWAL(t)
	quickest := time.Hour
	for range 10 {
		start := time.Now()
		if _, err := Inspect(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		quickest = min(quickest, time.Since(start))
	}
	if quickest > 100*time.Millisecond {
		t.Errorf("took %v", quickest)
	}
}

// As another user, without permission to write: read permission is enough.
func TestInspectReadOnlyDirectory(t *testing.T) {
	if db := os.Getenv("INSPECT_AS_NOBODY"); db != "" {
		in, err := Inspect(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("held=%s committed=%d\n", in.InUse, in.WAL.CommittedFrames)
		return
	}
	testkit.NeedsRoot(t)
	db := liveWAL(t)
	for path, mode := range map[string]os.FileMode{db: 0o644, db + "-wal": 0o644, db + "-shm": 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for dir := filepath.Dir(db); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := testkit.TakePicture(t, filepath.Dir(db))
	if out := asNobody(t, db); !strings.Contains(out, "held=yes committed=3") {
		t.Errorf("with an -shm that cannot be read: %s", out)
	}
	before.MustMatch(t, filepath.Dir(db))
	if err := os.Chmod(db+"-wal", 0o600); err != nil {
		t.Fatal(err)
	}
	if out := asNobody(t, db); !strings.Contains(out, "app.db-wal: permission denied") {
		t.Errorf("with a -wal that cannot be read: %s", out)
	}
}

// asNobody runs the test again, by a copy of the test binary that this user can reach.
func asNobody(t *testing.T, db string) string {
	t.Helper()
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(filepath.Dir(db)), "engine.test")
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestInspectReadOnlyDirectory$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "INSPECT_AS_NOBODY="+db)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, _ := cmd.CombinedOutput()
	return string(out)
}
