package faults

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"golang.org/x/sys/unix"
)

// children returns the processes of the trial that are still running.
func (p *running) children() []int { return harness.Marked(p.mark + "\x00") }

// pid waits for the program itself, which another may have started, and returns its process ID.
func (p *running) pid() int {
	p.Helper()
	found := 0
	harness.Eventually(p, "the program runs", func() bool {
		for _, pid := range p.children() {
			if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == p.Program {
				found = pid
				return true
			}
		}
		return false
	})
	return found
}

// copying waits until the private copy exists, at the beginning of the page copy.
func (p *running) copying() (image string) {
	p.Helper()
	harness.Eventually(p, "the copy begins", func() bool {
		image = p.process.Image()
		return image != "" || p.over()
	})
	return image
}

// sending waits until the first bytes are in the pipe: the copy has been checked and unlinked.
func (p *running) sending() {
	p.Helper()
	harness.Eventually(p, "something is sent", func() bool {
		n, err := unix.IoctlGetInt(int(p.pipe.Fd()), unix.TIOCINQ)
		return err != nil || n > 0 || p.over()
	})
}

// idle waits until the program does nothing but wait for its reader.
func (p *running) idle() {
	p.Helper()
	p.sending()
	stat, last, same := fmt.Sprintf("/proc/%d/stat", p.pid()), "", 0
	harness.Eventually(p, "it is idle", func() bool {
		data, _ := os.ReadFile(stat)
		fields := strings.Fields(string(data))
		if len(fields) < 15 {
			return true
		}
		spent := fields[13] + " " + fields[14]
		if same++; spent != last {
			last, same = spent, 0
		}
		time.Sleep(10 * time.Millisecond)
		return same > 50
	})
}

func (p *running) over() bool { return p.process.Over() }

func (p *running) signal(sig syscall.Signal) {
	p.Helper()
	p.Check(syscall.Kill(p.pid(), sig))
}

// injected returns how many system calls strace has made fail.
func (o *aftermath) injected() int { return strings.Count(o.trace, "(INJECTED)") }
