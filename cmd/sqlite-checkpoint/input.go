package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// An input is an open SRC.
type input struct {
	*stream.Reader
	source *ctxReader // nil for shards
	opened time.Time
	end    func() error // ends the command or closes the shards that deliver it; nil for a file
}

// openInput opens SRC, and reads the digest that it is compared with.
func openInput(ctx context.Context, source string, proof proofFlags) (*input, error) {
	if source == "" {
		return nil, usagef("SRC is empty")
	}
	if source != "-" && stream.IsShards(source) {
		return openShards(ctx, source, proof)
	}
	file := os.Stdin
	if source != "-" {
		if err := checkNotInUse(source); err != nil {
			return nil, err
		}
		var err error
		if file, err = openWithoutWaiting(source); err != nil {
			return nil, inputFault(source, err)
		}
	}
	in := &input{source: &ctxReader{ctx: ctx, file: file, fd: descriptor(file), name: source}}
	opts, err := proof.options(source)
	if err == nil {
		err = checkReadable(source, file)
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	in.Reader = stream.NewReader(in.source, opts)
	return in, nil
}

// Close closes what was opened. It is idempotent.
func (in *input) Close() {
	if in.Reader != nil {
		in.Reader.Close()
	}
	if in.source != nil && in.source.file != os.Stdin {
		in.source.file.Close()
	}
	if in.end != nil {
		in.end()
	}
}

// checkNotInUse refuses a database with a -wal or -journal: part of its content may be in them.
func checkNotInUse(source string) error {
	names := []string{source}
	if resolved, err := filepath.EvalSymlinks(source); err == nil && resolved != filepath.Clean(source) {
		names = append(names, resolved)
	}
	for _, name := range names {
		for _, suffix := range []string{"-wal", "-journal"} {
			if info, err := os.Stat(name + suffix); err == nil && info.Size() > 0 {
				err := fmt.Errorf("read %s: it is a database in use: %s%s exists", source, source, suffix)
				return &fault{kind: kindInUse, err: err}
			}
		}
	}
	return nil
}

// checkReadable refuses a directory and a terminal.
func checkReadable(source string, file *os.File) error {
	info, err := file.Stat()
	switch {
	case err != nil:
		return inputFault(source, err)
	case info.IsDir():
		return usagef("read %s: it is a directory", source)
	case isTerminal(file):
		return &fault{kind: kindTerminal, err: fmt.Errorf("read %s: it is a terminal", source),
			hint: "pipe a stream into it, as in: ssh host 'cat app.db.zst' | sqlite-checkpoint verify -"}
	}
	return nil
}

// openWithoutWaiting opens a file for reading, and does not wait for the other end of a FIFO.
func openWithoutWaiting(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// unreadableKind is the kind of an error of opening something to read it.
func unreadableKind(err error) engine.Kind {
	if errors.Is(err, fs.ErrNotExist) {
		return engine.KindMissing
	}
	return engine.KindUnreadable
}

func inputFault(source string, err error) error {
	kind := unreadableKind(err)
	return &fault{kind: kind, err: fmt.Errorf("read %s: %w", source, cause(err)), hint: inputHints[kind]}
}

var inputHints = map[engine.Kind]string{
	engine.KindMissing:    "check the path",
	engine.KindUnreadable: "run as a user who may read it",
}

// A ctxReader reads a file until its context ends.
type ctxReader struct {
	ctx     context.Context
	file    *os.File
	fd      int
	name    string
	timeout time.Duration // the longest time without a byte; 0 means no limit
	failed  func() error  // how the command that writes the file has failed, if it has; may be nil
}

// pollInterval is how often a reader checks its context, in milliseconds.
const pollInterval = 100

func (p *ctxReader) Read(b []byte) (int, error) {
	for since := time.Now(); ; {
		if p.ctx.Err() != nil {
			return 0, context.Cause(p.ctx)
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, pollInterval)
		if err != nil && err != unix.EINTR {
			return 0, inputFault(p.name, err)
		}
		if ready > 0 {
			break
		}
		if p.failed != nil {
			if err := p.failed(); err != nil {
				return 0, err
			}
		}
		if p.timeout > 0 && time.Since(since) >= p.timeout {
			err := fmt.Errorf("read %s: nothing has arrived for %v", p.name, p.timeout)
			return 0, &fault{kind: kindInputStalled, err: err}
		}
	}
	n, err := p.file.Read(b)
	if err != nil && err != io.EOF {
		err = inputFault(p.name, err)
	}
	return n, err
}
