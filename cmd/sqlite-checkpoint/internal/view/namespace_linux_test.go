package view

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// An unprivileged user gets a view of the user's own files, with the same user ID in it.
func TestMountUnprivileged(t *testing.T) {
	tr := newTree(t)
	tr.uid = 65534
	tr.mkdir("live/dir", "live/dir/dir", "staged/dir", "staged/dir/dir")
	tr.write("live/app.db", "live/other", "live/dir/other", "live/dir/dir/x.db", "staged/app.db", "staged/dir/dir/x.db")
	tr.must(os.Symlink("other", tr.path("live/link")))
	tr.must(filepath.WalkDir(tr.root, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(tr.uid), int(tr.uid)))
	}))
	for _, dir := range []string{"live/dir/dir", "staged/dir/dir"} { // the owner may not write there
		tr.write(dir + "/" + dir[:4])
		tr.must(os.Lchown(tr.path(dir+"/"+dir[:4]), int(tr.uid), int(tr.uid)))
		tr.must(os.Chmod(tr.path(dir), 0o555))
	}
	v := tr.view("app.db")
	v.Directories = append(v.Directories, tr.directory("/dir/dir", "x.db"))
	v.Hide = []string{tr.path("staged")}
	tr.want(tr.run(v, `cat live/app.db live/dir/dir/* live/dir/other
		echo; stat -c %u:%g live live/app.db live/other live/link | uniq
		id -u; grep CapEff /proc/self/status; ls -A staged`),
		"staged/app.dblive/dir/dir/livestaged/dir/dir/x.dblive/dir/other\n"+
			"65534:65534\n65534\nCapEff:\t0000000000000000")
}

// If the system refuses, that is known before anything is done.
func TestRefused(t *testing.T) {
	tr := newTree(t)
	tr.write("live/app.db", "staged/app.db")
	launch := tr.command(tr.view("app.db"), "echo started")
	self, err := os.Executable()
	tr.must(err)
	cmd := exec.Command(testkit.Tool(t, "unshare"), "-Ur", "bash", "-c",
		`echo 0 >/proc/sys/user/max_mnt_namespaces && exec -a "$0" "$@"`)
	cmd.Args = slices.Concat(cmd.Args, []string{launch.Args[0], self}, launch.Args[1:])
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Contains(string(out), "started") || !strings.Contains(string(out), ErrRefused.Error()) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestRefusal: a probe that could not start gives a reason, too.
func TestRefusal(t *testing.T) {
	ended := exec.Command("sh", "-c", "exit 3").Run()
	for want, err := range map[string]error{
		"mount: no":               refusal("mount: no", ended),
		"exit status 3":           refusal("", ended),
		"may start no more proc":  refusal("", unix.EAGAIN),
		"max_mnt_namespaces":      refusal("", unix.ENOSPC),
		"operation not permitted": refusal("", unix.EPERM),
	} {
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
