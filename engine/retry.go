package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// retry calls try until it succeeds, fails permanently, or has failed transiently until the
// timeout.
func retry(ctx context.Context, timeout time.Duration, try func() error) error {
	if timeout == 0 {
		timeout = DefaultBusyTimeout
	}
	deadline := time.Now().Add(timeout)
	for delay := time.Millisecond; ; delay = min(2*delay, 25*time.Millisecond) {
		err := try()
		if err == nil || !isTransient(err) || time.Now().Add(delay).After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
}

// A lockHolder is the process that kept a lock from us at every attempt.
type lockHolder struct {
	since  time.Time
	pid    int  // of the holder of EXCLUSIVE, 0 if unknown
	varied bool // it was not the same each time, or not EXCLUSIVE
}

// lock is like lockShared, and records the process in the way.
func (s *sourceFile) lock() (locked bool, err error) {
	locked, err = lockShared(s.file)
	if err == nil {
		s.holder.varied = true
		return locked, nil
	}
	exclusive, pid := exclusiveHolder(s.file)
	if s.holder.since.IsZero() {
		s.holder = lockHolder{since: time.Now(), pid: pid, varied: s.holder.varied}
	}
	s.holder.varied = s.holder.varied || !exclusive || pid != s.holder.pid
	return false, err
}

// usualCommit is how long a commit may normally hold EXCLUSIVE.
const usualCommit = time.Second

// retry is like the function retry. If one process held EXCLUSIVE for the whole time, the error
// names it: it may never release it.
func (s *sourceFile) retry(ctx context.Context, op string, timeout time.Duration, try func() error) error {
	s.holder = lockHolder{}
	err := retry(ctx, timeout, try)
	if !errors.Is(err, osfile.ErrLocked) || s.holder.varied || time.Since(s.holder.since) < usualCommit {
		return err
	}
	who := "a process that cannot be seen from here"
	if s.holder.pid > 0 {
		who = fmt.Sprintf("process %d%s", s.holder.pid, commandOf(s.holder.pid))
	}
	return &Error{Kind: KindExclusive, Op: op, Path: s.name,
		Err: fmt.Errorf("%w exclusively by %s, for the whole time", osfile.ErrLocked, who)}
}

// commandOf returns " (NAME)" for a process, or "" if its name is not known.
func commandOf(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (%s)", strings.TrimSpace(string(name)))
}
