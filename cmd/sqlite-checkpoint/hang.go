package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// watchedPiece is the most that is written at once: what counts as progress. In shards it is many
// files.
const watchedPiece = 64 << 10

// A hangWatch notices that the file system of the destination hangs, if it is one of a network.
type hangWatch struct {
	atomicfile.Watch
	network bool
}

func (w *hangWatch) Count(on bool) { w.Watch.Count(on && w.network) }

// deliverInTime is deliver, but gives up on a file system that hangs.
func (j *job) deliverInTime(ctx context.Context, snap *engine.Snapshot) (stream.Summary, error) {
	w := hangWatch{network: j.network}
	var sum stream.Summary
	ended, err := w.Run(ctx, cmp.Or(j.Timeout, atomicfile.Patience), func(ctx context.Context) (err error) {
		sum, err = j.deliver(ctx, snap, &w)
		return err
	})
	switch {
	case !ended && errors.Is(err, atomicfile.ErrHangs):
		return stream.Summary{}, fileFault(fmt.Errorf("write %s: %w", j.dest, err))
	case err != nil:
		return stream.Summary{}, err
	}
	return sum, nil
}

// A watchedSink is a sink whose writes are watched. The time between two writes does not count.
type watchedSink struct {
	sink
	watch   *hangWatch
	commits bool // Commit is watched, too: its sync may take long without anything being wrong
}

func (s *watchedSink) Write(p []byte) (n int, err error) {
	s.watch.Count(true)
	defer s.watch.Count(false)
	for n < len(p) && err == nil {
		var m int
		m, err = s.sink.Write(p[n:min(n+watchedPiece, len(p))])
		n += m
		s.watch.Beat()
	}
	return n, err
}

func (s *watchedSink) Commit() error {
	s.watch.Count(s.commits)
	defer s.watch.Count(false)
	return s.sink.Commit()
}

func (s *watchedSink) Close() error {
	s.watch.Count(true)
	defer s.watch.Count(false)
	return s.sink.Close()
}
