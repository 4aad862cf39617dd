package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// threadRole is a program whose exit status reports whether besideSignals kept off the main thread.
const threadRole = "thread-role"

func playThread() {
	for range 100 {
		if besideSignals(func() int { return unix.Gettid() }) == unix.Getpid() {
			os.Exit(1)
		}
	}
}

func TestBesideSignals(t *testing.T) {
	if out, err := exec.Command(threadRole).CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
}

// TestTermBesideHang: TERM ends a run whatever thread hangs. It was sometimes the main thread.
func TestTermBesideHang(t *testing.T) {
	t.Parallel()
	testkit.NeedsRoot(t)
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `mkdir real fuse
		echo >real/app.db
		"$0" -f real fuse </dev/null >/dev/null 2>&1 & server=$!
		until mountpoint -q fuse; do sleep 0.01; done
		kill -STOP $server
		sleep 1.1 # the kernel knows some answers for a second
		for i in $(seq 16); do timeout -s KILL 20 "$@" >/dev/null 2>&1 & runs="$runs $!"; done
		sleep 1
		kill -TERM $runs
		for run in $runs; do wait $run; echo $?; done
		kill -KILL $server`, testkit.Tool(t, "bindfs"), program, "backup", "fuse/app.db", "-")
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil || string(out) != strings.Repeat("143\n", 16) {
		t.Errorf("%v, exit statuses %q", err, strings.Fields(string(out)))
	}
}
