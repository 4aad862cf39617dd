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
