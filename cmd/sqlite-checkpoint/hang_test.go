package main

import (
	"context"
	"io"
	"testing"
	"time"
)

// A nowhere is a sink that keeps nothing.
type nowhere struct{ io.Writer }

func (nowhere) Commit() error { return nil }
func (nowhere) Close() error  { return nil }

// The time between two writes to a network is not one in which it hangs.
func TestTimeBetweenWrites(t *testing.T) {
	const limit = 100 * time.Millisecond
	w := hangWatch{network: true}
	ended, err := w.Run(t.Context(), limit, func(context.Context) error {
		to := &watchedSink{sink: nowhere{io.Discard}, watch: &w, commits: true}
		for _, step := range []func() error{
			func() error { _, err := to.Write([]byte("piece")); return err }, to.Commit, to.Close,
		} {
			if err := step(); err != nil {
				return err
			}
			time.Sleep(3 * limit)
		}
		return nil
	})
	if !ended || err != nil {
		t.Errorf("ended %v, %v", ended, err)
	}
}
