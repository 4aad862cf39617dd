//go:build linux

package atomicfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// df takes the names from the mount table, statfs returns only magic numbers.
func TestFilesystemMatchesMountTable(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/", "/dev/shm"} {
		out, err := exec.Command("df", "--output=fstype", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(string(out))[1]
		switch want {
		case "ext2", "ext3":
			want = "ext4"
		case "overlay":
			want = "overlayfs"
		}
		name, network, err := NetworkFilesystem(dir)
		if err != nil || name != want {
			t.Errorf("%s: %s, network %v, error %v, want %s", dir, name, network, err, want)
		}
		if want == "tmpfs" && network {
			t.Error("tmpfs is not a network")
		}
	}
}

func TestFilesystemUnknownAndMissing(t *testing.T) {
	if name, network, err := NetworkFilesystem("/proc"); err != nil || network || name != "0x9fa0" {
		t.Errorf("/proc: %s, network %v, error %v", name, network, err)
	}
	if _, _, err := NetworkFilesystem(filepath.Join(t.TempDir(), "nothing")); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

func TestFilesystemTables(t *testing.T) {
	for magic := range sharedFilesystems {
		if name, ok := localFilesystems[magic]; ok {
			t.Errorf("%s is in both tables", name)
		}
	}
	for _, magic := range []uint32{unix.NFS_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.V9FS_MAGIC,
		unix.FUSE_SUPER_MAGIC} {
		if _, ok := sharedFilesystems[magic]; !ok {
			t.Errorf("%#x is not in the table", magic)
		}
	}
}

// TestSyncOfNothing: a file system that has nothing to sync, as that of /proc, is no error.
func TestSyncOfNothing(t *testing.T) {
	if err := open(t, "/proc").Sync(); err != nil {
		t.Error(err)
	}
}
