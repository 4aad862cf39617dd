//go:build !linux

package guard

import (
	"context"
	"errors"
	"syscall"
)

// A Process is CMD under its guard.
type Process struct{}

// Available fails: the guard is made of Linux's subreapers and /proc.
func Available() error { return ErrUnavailable }

// Start fails, as Available does.
func Start(context.Context, Command) (*Process, error) { return nil, ErrUnavailable }

func (*Process) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (*Process) Finish() error             { return errors.ErrUnsupported }
func (*Process) Explain(err error) error   { return err }
func (*Process) Close() error              { return nil }

// Main fails, as there is no guard process.
func Main(func([]byte) error) int { return 1 }

func signalName(s syscall.Signal) string { return s.String() }
