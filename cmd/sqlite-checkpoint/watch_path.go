package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A watchPath is a PATH. Its file system may hang.
type watchPath struct {
	path  string // absolute
	cache engine.FindCache
	busy  atomic.Bool // a call has not returned
}

// call calls f, which calls progress after every step. It fails with [atomicfile.ErrHangs], while f
// runs on, if f makes no progress; then also until f has returned.
func (p *watchPath) call(ctx context.Context, f func(ctx context.Context, progress func()) error) error {
	if !p.busy.CompareAndSwap(false, true) {
		return p.hangs()
	}
	var hang atomicfile.Watch
	hang.Count(true)
	ended, err := hang.Run(ctx, atomicfile.Patience, func(ctx context.Context) error {
		defer p.busy.Store(false)
		return f(ctx, hang.Beat)
	})
	if !ended && ctx.Err() == nil {
		return p.hangs()
	}
	return err
}

func (p *watchPath) hangs() error { return fmt.Errorf("search %s: %w", p.path, atomicfile.ErrHangs) }

// atOnce is how many PATHs are looked at at the same time.
const atOnce = 16

// each calls f for every PATH, and its index.
func (f *watchFinder) each(do func(i int, p *watchPath)) {
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, p := range f.paths {
		slots <- struct{}{}
		all.Go(func() {
			do(i, p)
			<-slots
		})
	}
	all.Wait()
}

// answering returns the PATHs whose file systems answer. It fails if one of them does not exist.
func (f *watchFinder) answering(ctx context.Context) (paths []string, err error) {
	errs := make([]error, len(f.paths))
	f.each(func(i int, p *watchPath) {
		errs[i] = p.call(ctx, func(context.Context, func()) error { _, err := os.Stat(p.path); return err })
	})
	for i, p := range f.paths {
		switch err := errs[i]; {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil:
			paths = append(paths, p.path)
		case !errors.Is(err, atomicfile.ErrHangs):
			return nil, &engine.Error{Kind: unreadableKind(err), Op: "watch", Path: p.path, Err: cause(err)}
		}
	}
	return paths, nil
}
