package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestAwaitGrain: where locks may not reach the writer, and only there, a copy of a database that
// was written a moment ago waits until the next write would show.
func TestAwaitGrain(t *testing.T) {
	const inside = "SQLITE_CHECKPOINT_TEST_GRAIN"
	if through := os.Getenv(inside); through != "" {
		awaitGrain(t, through, context.Canceled)
		return
	}
	awaitGrain(t, t.TempDir(), nil)
	testkit.NeedsRoot(t)
	through := t.TempDir()
	onFUSE(t, t.TempDir(), through, inside+"="+through)
}

func awaitGrain(t *testing.T, dir string, want error) {
	t.Helper()
	db := filepath.Join(dir, "app.db")
	sqlite(t, db, "CREATE TABLE t(x);")
	p := &readTx{source: openForTest(t, db), how: accessReadOnly}
	p.before.main.Mtime = time.Now().Truncate(time.Second) // as on a file system that keeps seconds
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.awaitGrain(ctx); err != want {
		t.Errorf("%s: %v, want %v", dir, err, want)
	}
}
