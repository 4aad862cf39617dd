//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The watcher tells systemd when it is ready, that it is alive and that it stops; CMD does not get
// the socket.
func TestWatchNotifiesSystemd(t *testing.T) {
	w := newWatching(t, "a")
	socket := w.supervise(200 * time.Millisecond)
	w.start(watchLog + "env >environment")
	awaitMessage(t, socket, "STATUS=1 databases, 0 running, 0 failing")
	awaitMessage(t, socket, "READY=1")
	awaitMessage(t, socket, "WATCHDOG=1")
	awaitMessage(t, socket, "WATCHDOG=1")
	w.until("CMD has run", func() bool {
		socket.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		socket.Read(make([]byte, 4096)) // as systemd does: a full socket would hold watch up
		return w.exists("log")
	})
	w.signal(syscall.SIGTERM)
	awaitMessage(t, socket, "STOPPING=1")
	w.mustEnd(0)
	environment, err := os.ReadFile(w.path("environment"))
	if err != nil || bytes.Contains(environment, []byte("NOTIFY_SOCKET")) {
		t.Errorf("CMD has the socket's name, error %v", err)
	}
}

// The watcher notifies the watchdog twice in WatchdogSec=, however rarely it looks, but not when it
// hangs. What systemd then does also ends CMD.
func TestWatchWatchdog(t *testing.T) {
	const limit = 2 * time.Second
	w := newWatching(t, "a")
	socket := w.supervise(limit)
	w.start("echo $$ >pid; exec sleep 1000", "--poll", "1h", "--every", "0")
	awaitMessage(t, socket, "WATCHDOG=1")
	for range 3 {
		last := time.Now()
		awaitMessage(t, socket, "WATCHDOG=1")
		if pause := time.Since(last); pause > limit || pause < limit/4 {
			t.Errorf("a ping after %v, the limit is %v", pause, limit)
		}
	}
	w.until("CMD runs", func() bool { return w.exists("pid") })
	w.signal(syscall.SIGSTOP)
	socket.SetReadDeadline(time.Now().Add(time.Second)) // for what was sent before
	for err := error(nil); err == nil; {
		_, err = socket.Read(make([]byte, 4096))
	}
	socket.SetReadDeadline(time.Now().Add(limit))
	if n, err := socket.Read(make([]byte, 4096)); err == nil {
		t.Errorf("%d bytes from a watcher that is stopped", n)
	}
	w.signal(syscall.SIGABRT)
	w.signal(syscall.SIGCONT)
	w.mustEnd(2) // as every Go program
	pid, _ := os.ReadFile(w.path("pid"))
	w.until("CMD has ended", func() bool {
		return exec.Command("kill", "-0", strings.TrimSpace(string(pid))).Run() != nil
	})
}

// supervise creates the socket on which systemd would listen to the watcher.
func (w *watching) supervise(watchdog time.Duration) *net.UnixConn {
	w.Helper()
	address := &net.UnixAddr{Name: w.path("notify"), Net: "unixgram"}
	socket, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { socket.Close() })
	w.env = []string{"NOTIFY_SOCKET=" + address.Name, fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds())}
	return socket
}

// awaitMessage reads messages up to one.
func awaitMessage(t *testing.T, socket *net.UnixConn, want string) {
	t.Helper()
	buffer := make([]byte, 4096)
	socket.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		n, err := socket.Read(buffer)
		if err != nil {
			t.Fatalf("no %s: %v", want, err)
		}
		if string(buffer[:n]) == want {
			return
		}
	}
}
