//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// onFUSE has watch run where the directory "fuse" leads to "real" by way of FUSE. The function
// stops or continues the server of that.
func (w *watching) onFUSE() (server func(syscall.Signal)) {
	w.Helper()
	testkit.NeedsRoot(w)
	for _, dir := range []string{"real", "fuse"} {
		if err := os.Mkdir(w.path(dir), 0o700); err != nil {
			w.Fatal(err)
		}
	}
	w.sqlite("../real/far", "CREATE TABLE t(x);")
	w.under = []string{"unshare", "--mount", "sh", "-ec", `"$0" -f real fuse </dev/null >/dev/null 2>&1 &
		echo $! >server
		until mountpoint -q fuse; do sleep 0.01; done
		test ! -e hang || { kill -STOP $(cat server); sleep 1.1; } # the kernel knows some answers for a second
		exec "$@"`, testkit.Tool(w, "bindfs")}
	return func(s syscall.Signal) {
		w.Helper()
		data, _ := os.ReadFile(w.path("server"))
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err == nil {
			err = syscall.Kill(pid, s)
		}
		if err != nil {
			w.Error(err)
		}
	}
}

func (w *watching) ran(name string) (times int) {
	for _, run := range w.runs() {
		if run == name {
			times++
		}
	}
	return times
}

// While a PATH hangs, the others are looked at, the watchdog is served, and TERM ends watch.
func TestWatchHangOfOnePath(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for twice the time after which a file system hangs")
	}
	w := newWatching(t, "a")
	server := w.onFUSE()
	longest := longestPause(w.supervise(4 * time.Second))
	w.start(watchLog, "--each", "--metrics", "m.prom", "fuse")
	defer server(syscall.SIGKILL)
	w.until("both have run", func() bool { return w.ran("a") > 0 && w.ran("far") > 0 })
	server(syscall.SIGSTOP)
	time.Sleep(1100 * time.Millisecond) // the kernel knows some answers for a second
	w.signal(syscall.SIGHUP)            // CMD is due for what hangs, too
	hangs := func() int {
		return strings.Count(strings.Join(w.said(), "\n"), w.path("fuse")+": the file system hangs")
	}
	w.until("the hang is reported", func() bool { return hangs() > 0 })
	far, near := w.ran("far"), w.ran("a")
	for range 2 {
		w.commit("a")
		near++
		w.until("the other has run", func() bool { return w.ran("a") == near })
	}
	if again := w.ran("far"); again > far+1 || hangs() != 1 { // one run may have been due before
		t.Errorf("%d runs after %d, reported %d times", again, far, hangs())
	}
	if saved, _ := os.ReadFile(w.path("m.prom")); !strings.Contains(string(saved), w.path("fuse/far")) {
		t.Errorf("metrics are lost:\n%s", saved)
	}
	server(syscall.SIGCONT)
	far = w.ran("far")
	w.until("it has run again", func() bool { return w.ran("far") > far })
	server(syscall.SIGSTOP)
	time.Sleep(time.Second)
	w.endsInTime(0)
	if pause := <-longest; pause > 4*time.Second {
		t.Errorf("no ping of the watchdog for %v", pause)
	}
}

// longestPause reads pings of the watchdog until watch stops.
func longestPause(socket *net.UnixConn) <-chan time.Duration {
	result := make(chan time.Duration, 1)
	go func() {
		var longest time.Duration
		last, buffer := time.Time{}, make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil || string(buffer[:n]) == "STOPPING=1" {
				break
			}
			if string(buffer[:n]) != "WATCHDOG=1" {
				continue
			}
			if !last.IsZero() {
				longest = max(longest, time.Since(last))
			}
			last = time.Now()
		}
		result <- longest
	}()
	return result
}

// A PATH may hang from the start.
func TestWatchHangAtStart(t *testing.T) {
	for name, others := range map[string]bool{"TERM at once": false, "others run": true} {
		t.Run(name, func(t *testing.T) {
			w := newWatching(t, "a")
			server := w.onFUSE()
			w.touch("hang")
			w.start(watchLog, "--each", "--state", "state", "fuse")
			defer server(syscall.SIGKILL)
			if others {
				w.until("the other has run", func() bool { return w.ran("a") > 0 })
				w.endsInTime(0)
				return
			}
			w.until("watch has been started", func() bool {
				name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", w.process.Pid))
				return string(name) == "sqlite-checkpoi\n"
			})
			time.Sleep(time.Second)
			w.endsInTime(exitSignal + int(syscall.SIGTERM))
		})
	}
}

// endsInTime wants TERM to end watch long before the 33 seconds after which a run that hangs ends.
func (w *watching) endsInTime(status int) {
	w.Helper()
	begin := time.Now()
	w.signal(syscall.SIGTERM)
	w.mustEnd(status)
	if took := time.Since(begin); took > 15*time.Second {
		w.Errorf("the end took %v", took)
	}
}

// A PATH whose last call has not returned gets no other.
func TestWatchHangBusy(t *testing.T) {
	var p watchPath
	p.busy.Store(true)
	err := p.call(t.Context(), func(context.Context, func()) error { t.Error("called"); return nil })
	if !errors.Is(err, atomicfile.ErrHangs) {
		t.Errorf("%v", err)
	}
}
