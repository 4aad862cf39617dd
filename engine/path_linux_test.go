package engine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// longDir creates a directory in which a file of that name has a path of size bytes.
func longDir(t *testing.T, name string, size int) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for left := size - len(dir) - len("/"+name); left > 0; left = size - len(dir) - len("/"+name) {
		n := min(left-1, 200)
		if left-1-n == 1 { // which no further directory could fill
			n--
		}
		dir += "/" + strings.Repeat("d", n)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLongPaths: a path that is too long for SQLite is refused with that reason, and the refusal is
// predicted. SQLite does not see the path of a private file.
func TestLongPaths(t *testing.T) {
	db := newRollback(t)
	image, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(".sqlite-checkpoint-"+strings.Repeat("0", 24), imageName)
	for size, kind := range map[int]Kind{maxPath: "", maxPath + 1: KindUnreadable} {
		long := filepath.Join(longDir(t, "app.db", size), "app.db")
		if err := os.WriteFile(long, image, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := snapshot(t, long, SnapshotOptions{})
		predicted, _ := Predict(t.Context(), long, SnapshotOptions{})
		into, named := longDir(t, private, size), filepath.Join(longDir(t, "new.db", size), "new.db")
		copied, toErr := TakeSnapshot(t.Context(), db, SnapshotOptions{Destination: filepath.Join(into, "copy.db")})
		if toErr == nil {
			copied.Close()
		}
		_, installErr := Install(t.Context(), bytes.NewReader(image), named, InstallOptions{})
		for what, err := range map[string]error{"copy": err, "prediction": predicted.Err, "destination": toErr,
			"restore": installErr} {
			want := kind
			switch {
			case what == "destination":
				want = ""
			case what == "restore" && kind != "":
				want = KindTemp
			}
			if want == "" && err != nil || want != "" && !(errors.Is(err, want) && errors.Is(err, ErrPathTooLong)) {
				t.Errorf("%s, %d bytes: %v", what, size, err)
			}
		}
	}
}
