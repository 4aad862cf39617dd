package recipes

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// maxWatchExposure is like maxExposure: this service mounts, and runs as root.
const maxWatchExposure = 40

// systemd accepts the unit, and its command, run with what systemd gives a service, backs up when
// it should.
func TestWatchService(t *testing.T) {
	s := newSite(t)
	const name = "sqlite-checkpoint-watch.service"
	unit := s.example(name)
	s.Write(name, []byte(unit))
	s.mustVerify(name)
	s.exposure(name, maxWatchExposure).Exits(0)

	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.Path("notify"), Net: "unixgram"})
	s.Check(err)
	defer socket.Close()
	cmd := s.Other(strings.Fields(setting(t, unit, "ExecStart"))...)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+s.Path("notify"), "WATCHDOG_USEC=1000000")
	p := s.Launch(cmd)
	heard := func(want string) {
		t.Helper()
		for buffer := make([]byte, 4096); ; {
			socket.SetReadDeadline(time.Now().Add(time.Minute))
			n, err := socket.Read(buffer)
			if err != nil {
				t.Fatalf("no %s: %v\n%s", want, err, p.Stderr.String())
			}
			if string(buffer[:n]) == want {
				return
			}
		}
	}
	heard("READY=1")
	heard("WATCHDOG=1")
	harness.Eventually(t, "a first backup", func() bool { return s.snapshots() == 1 })
	heard("STATUS=1 databases, 0 running, 0 failing")
	s.Check(cmd.Process.Signal(syscall.SIGHUP))
	harness.Eventually(t, "a second backup", func() bool { return s.snapshots() == 2 })
	heard("STATUS=1 databases, 0 running, 0 failing")
	s.Check(cmd.Process.Signal(syscall.SIGTERM))
	heard("STOPPING=1")
	p.Wait().Exits(0)
	s.Bash("rm -rf back && restic restore latest --target back").Exits(0)
	s.mustBeWhole("back" + s.Path("app/app.db"))
}

// A directory with a set-group-ID bit gets a staged one with that bit, which RestrictSUIDSGID=
// would refuse. Every other service has it.
func TestServicesMakeSetgidDirectories(t *testing.T) {
	units, err := filepath.Glob("../examples/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("no units: %v", err)
	}
	for _, name := range units {
		unit, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		mounts := strings.Contains(strings.Join(settings(string(unit), "ExecStart"), "\n"), " shadow ")
		if got := settings(string(unit), "RestrictSUIDSGID"); (len(got) == 0) != mounts {
			t.Errorf("%s: RestrictSUIDSGID=%v, and shadow: %v", name, got, mounts)
		}
	}
}

// HashiCorp's own parser accepts the job, and what it runs backs up.
func TestNomad(t *testing.T) {
	const name = "../examples/sqlite-checkpoint.nomad.hcl"
	if out, err := exec.Command("go", "-C", "../tools", "tool", "hclfmt", "-check", name).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	job, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	command := regexp.MustCompile(`(?m)^ *command = "(.*)"$`).FindSubmatch(job)
	list := regexp.MustCompile(`(?m)^ *args +=(.*)$`).FindSubmatch(job)
	if command == nil || list == nil {
		t.Fatal("no command, or no args")
	}
	if err := json.Unmarshal(list[1], &args); err != nil {
		t.Fatal(err)
	}
	newSite(t).mustBackUpChanges(append([]string{string(command[1])}, args...))
}
