package recipes

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A guest is a container in which systemd is init. It has the files of this host, but changes to
// them stay in memory, and /tmp, /var, /run and /srv are empty.
type guest struct {
	*harness.Bench
	init string // the process that is init in there
}

// bootGuest takes a directory and the name of a control group. /var and /srv are on one file
// system.
const bootGuest = `
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
for dir in var run tmp etc/systemd/system; do mount -t tmpfs -o mode=755 tmpfs "$1/root/$dir"; done
mkdir "$1/root/var/srv"
mount --bind "$1/root/var/srv" "$1/root/srv"
mount -t tmpfs tmpfs /run # where systemd-nspawn leaves something behind
for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
	[ ! -e "$tree/cgroup.procs" ] || { mkdir "$tree/$2"; echo $$ >"$tree/$2/cgroup.procs"; }
done
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --link-journal=no --console=pipe \
	--directory="$1/root" --boot -- --unit=sysinit.target`

// boot returns a guest that ends with the test.
func boot(t *testing.T) *guest {
	testkit.NeedsRoot(t)
	harness.Tool(t, "systemd-nspawn")
	g := &guest{Bench: harness.NewBench(t)}
	g.Check(os.Mkdir(g.Path("guest"), 0o755))
	group := fmt.Sprintf("sqlite-checkpoint-test-%d", os.Getpid())
	t.Cleanup(func() { removeGroups(t, group) })
	p := g.Launch(g.Other(harness.Tool(t, "unshare"), "--mount", "--propagation=private", "bash", "-euc", bootGuest,
		"bash", g.Path("guest"), group))
	t.Cleanup(func() { g.Bash("kill -KILL " + g.init).Exits(0); <-p.Ended })
	harness.Eventually(t, "systemd has booted", func() bool {
		if p.Over() {
			t.Fatalf("systemd-nspawn: %s%s", p.Stdout.String(), p.Stderr.String())
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.Cmd.Process.Pid))
		g.init = strings.TrimSpace(string(children))
		return g.init != "" && g.inside("systemctl is-active sysinit.target").Code == 0
	})
	return g
}

// removeGroups removes the control groups that the guest has left behind.
func removeGroups(t *testing.T, name string) {
	trees, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	var groups []string
	for _, tree := range append(trees, "/sys/fs/cgroup/"+name) {
		filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
	}
	for _, group := range slices.Backward(groups) {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	}
}

// inside runs a script in the guest.
func (g *guest) inside(script string) harness.Outcome {
	g.Helper()
	return g.Finish(g.Other("nsenter", "--target", g.init, "--mount", "--uts", "--ipc", "--net", "--pid",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "RESTIC_PASSWORD=test", "RESTIC_REPOSITORY=/srv/restic",
		"bash", "-euo", "pipefail", "-c", "cd /; "+script))
}

// write writes a file of the guest.
func (g *guest) write(path string, data string) {
	g.Helper()
	path = filepath.Join("/proc", g.init, "root", path)
	g.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	g.Check(os.WriteFile(path, []byte(data), 0o755))
}

// dropIn changes settings of a unit, as systemctl edit does.
func (g *guest) dropIn(unit, settings string) {
	g.Helper()
	g.write("/etc/systemd/system/"+unit+".d/test.conf", settings)
	g.inside("systemctl daemon-reload").Exits(0)
}

// property returns a property of a unit.
func (g *guest) property(unit, name string) string {
	g.Helper()
	return strings.TrimSpace(g.inside("systemctl show --value -p " + name + " '" + unit + "'").Exits(0).Stdout)
}

func (g *guest) eventually(unit, name, want string) {
	g.Helper()
	harness.Eventually(g, name+" is "+want, func() bool { return g.property(unit, name) == want })
}

// journal returns what the journal has of a unit.
func (g *guest) journal(unit string) string {
	g.Helper()
	return g.inside("journalctl --sync; journalctl --no-pager -u '" + unit + "'").Exits(0).Stdout
}

// settle installs the program, the units as they are, an application and a repository.
func (g *guest) settle() {
	g.Helper()
	program, err := os.ReadFile(harness.Binary)
	g.Check(err)
	g.write("/usr/local/bin/sqlite-checkpoint", string(program))
	services, _ := filepath.Glob("../examples/*.service")
	timers, _ := filepath.Glob("../examples/*.timer")
	for _, name := range slices.Concat(services, timers) {
		unit, err := os.ReadFile(name)
		g.Check(err)
		g.write("/etc/systemd/system/"+filepath.Base(name), string(unit))
	}
	g.write("/etc/sqlite-checkpoint/restic-password", "test\n")
	g.write("/etc/sqlite-checkpoint/restic.env", "RESTIC_REPOSITORY=/srv/restic\n")
	g.inside(fmt.Sprintf(`chmod 600 /etc/sqlite-checkpoint/restic-password
mkdir -m 700 /srv/app
sqlite3 /srv/app/app.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(x)'
chown -R %d /srv/app
restic --no-cache init
systemctl daemon-reload`, harness.App)).Exits(0)
}

func (g *guest) commit() {
	g.Helper()
	g.inside("sqlite3 /srv/app/app.db 'INSERT INTO t VALUES(1)'").Exits(0)
}

func (g *guest) mustHaveSnapshots(want int) {
	g.Helper()
	count := fmt.Sprintf("test $(restic --no-cache --no-lock list snapshots | wc -l) = %d", want)
	harness.Eventually(g, fmt.Sprintf("%d snapshots", want), func() bool { return g.inside(count).Code == 0 })
}
