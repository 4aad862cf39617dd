package atomicfile

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// TestWatch: only time without progress that counts ends the wait, and it ends what is left behind.
func TestWatch(t *testing.T) {
	const limit = 200 * time.Millisecond
	failed := errors.New("failed")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		f    func(w *Watch, ctx context.Context) error
		want error
	}{
		"ends":  {t.Context(), func(*Watch, context.Context) error { return failed }, failed},
		"hangs": {t.Context(), func(_ *Watch, ctx context.Context) error { <-ctx.Done(); return failed }, ErrHangs},
		"is canceled": {canceled, func(*Watch, context.Context) error {
			time.Sleep(3 * limit)
			return failed
		}, canceled.Err()},
		"progresses": {t.Context(), func(w *Watch, _ context.Context) error {
			for range 20 {
				time.Sleep(limit / 10)
				w.Beat()
			}
			return failed
		}, failed},
		"does not count": {t.Context(), func(w *Watch, _ context.Context) error {
			w.Count(false)
			time.Sleep(3 * limit)
			return failed
		}, failed},
	} {
		t.Run(name, func(t *testing.T) {
			var w Watch
			w.Count(true)
			let := make(chan struct{})
			ended, err := w.Run(c.ctx, limit, func(ctx context.Context) error {
				defer close(let)
				return c.f(&w, ctx)
			})
			if !errors.Is(err, c.want) || ended != (c.want == failed) {
				t.Errorf("ended %v, %v", ended, err)
			}
			<-let
		})
	}
}

// TestRemoveAllBesideHang: a file system that hangs does not keep what is elsewhere.
func TestRemoveAllBesideHang(t *testing.T) {
	defer func() { live.removed = false }()
	dir := t.TempDir()
	hangs, err := NewDir(t.TempDir())
	must(t, err)
	elsewhere, err := NewDir(dir)
	must(t, err)
	hangs.making.Lock() // as a call in it does
	ended := make(chan struct{})
	go func() { defer close(ended); RemoveAll() }()
	for begin := time.Now(); names(t, dir) != "" && time.Since(begin) < 10*time.Second; {
		time.Sleep(time.Millisecond)
	}
	if names(t, dir) != "" {
		t.Errorf("left %s", names(t, dir))
	}
	hangs.making.Unlock()
	<-ended
	if _, err := os.Lstat(hangs.Path()); !os.IsNotExist(err) {
		t.Errorf("what hung is still there: %v", err)
	}
	must(t, hangs.Close())
	must(t, elsewhere.Close())
}
