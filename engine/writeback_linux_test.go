package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestWriteBack: what is written to a file goes to the disk at once, not when the kernel writes it
// after 30 seconds. stop does not wait for what is missing.
func TestWriteBack(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 40<<20 + 4096
	w := keepWriteBack(f, size+1)
	for left := size; left > 0; left -= 64 << 10 {
		if _, err := f.Write(make([]byte, min(left, 64<<10))); err != nil {
			t.Fatal(err)
		}
	}
	const whole = size / writeBackPart * writeBackPart
	for deadline := time.Now().Add(20 * time.Second); testkit.Unwritten(t, f, whole) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d pages are not written", testkit.Unwritten(t, f, whole))
		}
	}
	w.stop()
}
