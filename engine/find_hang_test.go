//go:build linux

package engine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A search whose file system hangs does not stop another.
func TestFindBesideHang(t *testing.T) {
	const inside = "FIND_BESIDE_HANG"
	if dirs := os.Getenv(inside); dirs != "" {
		through, other, _ := strings.Cut(dirs, ":")
		findBesideHang(t, through, other)
		return
	}
	testkit.NeedsRoot(t)
	real, through, other := plant(t, header512, "a.db"), t.TempDir(), plant(t, header512, "b.db")
	onFUSE(t, real, through, inside+"="+through+":"+other)
}

func findBesideHang(t *testing.T, through, other string) {
	server := bindfsProcess(t)
	steps, stopped, hanging := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(hanging)
		FindDatabases(t.Context(), through, FindOptions{Progress: func() {
			if steps++; steps == 3 { // the directory has been read, and the file is next
				syscall.Kill(server, syscall.SIGSTOP)
				time.Sleep(100 * time.Millisecond)
				close(stopped)
			}
		}})
	}()
	<-stopped
	found := make(chan Found, 1)
	go func() {
		databases, _ := FindDatabases(t.Context(), other, FindOptions{})
		found <- databases
	}()
	select {
	case databases := <-found:
		if len(databases.Databases) != 1 {
			t.Errorf("found %v", databases)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the other search")
	}
	select {
	case <-hanging:
		t.Error("it did not hang")
	default:
	}
	syscall.Kill(server, syscall.SIGKILL)
	<-hanging
}

// bindfsProcess finds the server in a process namespace of its own.
func bindfsProcess(t *testing.T) int {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if data, _ := os.ReadFile(name); string(data) == "bindfs\n" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid
		}
	}
	t.Fatal("bindfs does not run")
	return 0
}

// A search that takes long shows that it does not hang.
func TestFindTellsProgress(t *testing.T) {
	var names []string
	for i := range 500 {
		names = append(names, strconv.Itoa(i))
	}
	steps := 0
	_, err := FindDatabases(t.Context(), plant(t, header512, names...), FindOptions{Progress: func() { steps++ }})
	if err != nil || steps < len(names) {
		t.Errorf("%d steps for %d files, error %v", steps, len(names), err)
	}
}
