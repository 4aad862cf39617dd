package main

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
)

// A child is a run of CMD, in a process group of its own.
type child struct {
	job     *watch.Job
	process *os.Process
	began   time.Time
	changed int
	termAt  time.Time // when it is to be asked to exit, zero for never
	killAt  time.Time
	termed  bool
	exited  bool // with that status, but after TERM it counts as running until its group has ended
	status  int
}

type childEnd struct {
	child  *child
	status int
}

// start starts CMD for a job. The caller must stay on its thread: CMD is sent TERM when that thread
// ends.
func (w *watcher) start(j *watch.Job, now time.Time) {
	c := &child{job: j, began: now, changed: j.Changed()}
	w.schedule.Begin(j, now, w.freshTokens(j))
	argv, env := w.expand(j)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = w.con.stdout, w.con.stderr
	cmd.SysProcAttr = childAttributes()
	w.measureBegin(c)
	if err := cmd.Start(); err != nil {
		w.sayOnce(err.Error(), "start "+argv[0]+": "+cause(err).Error())
		w.finish(c, time.Now(), explain(context.Background(), "watch", startFault(argv[0], err)).Code)
		return
	}
	c.process = cmd.Process
	if w.Timeout > 0 {
		c.termAt, c.killAt = now.Add(w.Timeout), now.Add(w.Timeout+w.Grace)
	}
	w.children[c], w.dirty = true, true
	w.con.allow(w.Grace)
	go func() {
		cmd.Wait()
		w.ends <- childEnd{c, exitStatus(cmd.ProcessState)}
	}()
}

func exitStatus(state *os.ProcessState) int {
	if wait, ok := state.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
		return exitSignal + int(wait.Signal())
	}
	return state.ExitCode()
}

// expand returns CMD and its environment for a job, without variables that are only for this
// process.
func (w *watcher) expand(j *watch.Job) (argv, env []string) {
	ours := []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", envDB, envName}
	env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(ours, name)
	})
	if j.Name == "" {
		return w.argv, env
	}
	name := w.seen.names[j.Name]
	return expand(w.argv, dbMark, j.Name, nameMark, name), append(env, envDB+"="+j.Name, envName+"="+name)
}

// exit records that CMD has exited. If it was asked to, what it has started may take as long as
// it: a shell exits at once, and the backup that it has started cleans up.
func (w *watcher) exit(end childEnd) {
	c := end.child
	c.exited, c.status = true, end.status
	if c.termed && c.status == 0 {
		c.status = exitSignal + int(syscall.SIGTERM) // before it had done its work
	}
	if w.reap(); !c.termed || !c.alive() {
		w.ended(c, time.Now())
	}
}

// reap waits for the processes that CMDs have left, if this process is their parent, as PID 1 of a
// container is. CMD itself is waited for where it was started.
func (w *watcher) reap() {
	if os.Getpid() != 1 {
		return
	}
	for pid := exitedChild(); pid > 0 && !w.runs(pid); pid = exitedChild() {
		syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	}
}

// runs reports whether a CMD that is not known to have exited has this process ID.
func (w *watcher) runs(pid int) bool {
	for c := range w.children {
		if c.process.Pid == pid && !c.exited {
			return true
		}
	}
	return false
}

// enforce asks children to exit, and kills them, when it is time. It waits for what they have left.
func (w *watcher) enforce(now time.Time) {
	w.reap()
	for c := range w.children {
		switch {
		case c.exited:
			if over := !now.Before(c.killAt); over || !c.alive() {
				c.signal(syscall.SIGKILL)
				w.ended(c, now)
			}
		case c.termAt.IsZero() || now.Before(c.termAt):
		case !c.termed:
			c.termed = true
			c.signal(syscall.SIGTERM)
			c.signal(syscall.SIGCONT)
		case !now.Before(c.killAt):
			c.signal(syscall.SIGKILL)
		}
	}
}

// signal sends a signal to CMD's process group.
func (c *child) signal(s syscall.Signal) { syscall.Kill(-c.process.Pid, s) }

// alive reports whether anything is left of CMD's process group, after CMD itself has exited.
func (c *child) alive() bool { return syscall.Kill(-c.process.Pid, 0) == nil }

// groupPoll is how often to look whether what CMD has started has ended, too.
const groupPoll = 100 * time.Millisecond

// deadline returns when enforce has something to do next, zero for never.
func (c *child) deadline() time.Time {
	switch {
	case c.exited:
		return time.Now().Add(groupPoll)
	case c.termed:
		return c.killAt
	}
	return c.termAt
}

// endWithin gives a child this long to exit; TERM is sent before the last part of it.
func (c *child) endWithin(now time.Time, grace time.Duration) {
	term := now.Add(grace - min(5*time.Second, grace/2))
	if c.termAt.IsZero() || term.Before(c.termAt) {
		c.termAt = term
	}
	if kill := now.Add(grace); c.killAt.IsZero() || kill.Before(c.killAt) {
		c.killAt = kill
	}
}
