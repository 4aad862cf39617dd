package atomicfile

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestPublishUnsynced: a file whose name cannot be made durable does not keep the name. The next
// run would be refused because of it.
func TestPublishUnsynced(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "new"))
	must(t, err)
	testkit.WhileUnreadable(t, dir, func() {
		if err := f.Commit(); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("committed: %v", err)
		}
	})
	must(t, f.Close())
	if names(t, dir) != "" {
		t.Errorf("left %s", names(t, dir))
	}
}

// TestContentUnsynced: nor does a file whose content cannot be made durable get it.
func TestContentUnsynced(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "new"))
	must(t, err)
	must(t, f.f.Close())
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("committed: %v", err)
	}
	f.Close()
	if names(t, dir) != "" {
		t.Errorf("left %s", names(t, dir))
	}
}
