//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// openTerminal opens a pseudo-terminal: what is written to tty can be read from screen.
func openTerminal(t *testing.T, columns uint16) (screen, tty *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	screen = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

// A terminal that is paused, by Ctrl-S or because nobody reads it, holds up the drawing, but not
// the work, which may have locked an application's database.
func TestPausedTerminal(t *testing.T) {
	_, tty := openTerminal(t, 80)
	if err := unix.IoctlSetInt(int(tty.Fd()), unix.TCXONC, unix.TCOOFF); err != nil {
		t.Fatal(err)
	}
	p := newProgress(tty)
	at := engine.Progress{Phase: engine.PhaseCopy, Done: 1, Total: 3}
	p.engine(at)
	await(t, "the bar is drawn", func() bool {
		if p.drawing.TryLock() {
			defer p.drawing.Unlock()
			return false
		}
		return true
	})
	worked := make(chan bool)
	go func() {
		defer close(worked)
		for at.Done = 2; at.Done <= at.Total; at.Done++ {
			p.engine(at)
		}
		p.engine(engine.Progress{Phase: engine.PhaseCheck})
	}()
	select {
	case <-worked:
	case <-time.After(30 * time.Second):
		t.Error("the work waits for the terminal")
	}
	if err := unix.IoctlSetInt(int(tty.Fd()), unix.TCXONC, unix.TCOON); err != nil {
		t.Fatal(err)
	}
	<-worked
	p.close()
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

// A watched collects what has appeared on a screen.
type watched struct {
	mu   sync.Mutex
	text strings.Builder
}

func showProgress(screen *os.File) *watched {
	w := &watched{}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := screen.Read(buffer)
			w.mu.Lock()
			w.text.Write(buffer[:n])
			w.mu.Unlock()
			if err != nil && !os.IsTimeout(err) {
				return // EIO: the last process has closed the terminal
			}
		}
	}()
	return w
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// onTerminal runs the program through a shell on a terminal of its own, as verify of a stream of
// which half has arrived; between is called before the other half is sent. It returns what the
// terminal has shown.
func onTerminal(t *testing.T, columns uint16, shell string, between func(w *watched)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(testBinary(t), filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	make := exec.Command("sh", "-ec", `
		sqlite3 a.db 'create table t(x); insert into t values(zeroblob(100000))'; ./`+program+` backup -q a.db - >s`)
	make.Dir = dir
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	screen, tty := openTerminal(t, columns)
	cmd := exec.Command("bash", "-c", shell, filepath.Join(dir, program))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, tty, tty
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	w := showProgress(screen)
	in.Write(data[:len(data)/2])
	between(w)
	in.Write(data[len(data)/2:])
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, w)
	}
	await(t, "the result", func() bool { return strings.Contains(w.String(), "complete:") })
	return w.String()
}

func TestProgressShows(t *testing.T) {
	for _, columns := range []uint16{80, 25} {
		const mark = "reading  "
		shown := onTerminal(t, columns, `exec "$0" verify -`, func(w *watched) {
			await(t, "a bar", func() bool { return strings.Count(w.String(), mark) > 1 })
		})
		bars, result, _ := strings.Cut(shown, "-: ")
		if !strings.Contains(result, "complete:") || !strings.Contains(bars, "%") {
			t.Errorf("%d columns: %q", columns, shown)
		}
		for drawn := range strings.SplitSeq(bars, "\r") {
			if strings.Contains(drawn, "\n") || len([]rune(drawn)) >= int(columns) {
				t.Errorf("%d columns: a bar wraps: %q", columns, drawn)
			}
		}
	}
}

// The first drawing is long after the work began: its rate must not be that of all the work done in
// no time.
func TestProgressFirstRate(t *testing.T) {
	shown, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	const done, total = 10 << 30, 100 << 30
	p := &progress{tty: shown, stop: make(chan struct{})}
	p.show("copying", 0, total)
	began := time.Now()
	time.Sleep(50 * time.Millisecond)
	fastest := float64(done) / time.Since(began).Seconds()
	p.show("copying", done, total)
	p.tick()
	text, err := os.ReadFile(shown.Name())
	if err != nil {
		t.Fatal(err)
	}
	rate := regexp.MustCompile(`([0-9.]+ [A-Za-z]+)/s`).FindSubmatch(text)
	if rate == nil {
		t.Fatalf("no rate in %q", text)
	}
	if bytes, err := humanize.ParseBytes(string(rate[1])); err != nil || float64(bytes) > 1.1*fastest {
		t.Errorf("%s/s, at most %s/s: %v", rate[1], humanize.IBytes(uint64(fastest)), err)
	}
}

// A background job leaves the terminal to the user, who may be typing there.
func TestNoProgressInTheBackground(t *testing.T) {
	shown := onTerminal(t, 80, `set -m; "$0" verify - <&0 & wait`, func(*watched) { time.Sleep(2 * progressDelay) })
	if strings.Contains(shown, "reading") || !strings.Contains(shown, "complete:") {
		t.Errorf("%q", shown)
	}
}
