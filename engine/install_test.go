package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }

func image(t testing.TB) []byte {
	t.Helper()
	b, _, err := snapshot(t, newWAL(t), SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInstall(t *testing.T) {
	b := image(t)
	dst := filepath.Join(t.TempDir(), "new.db")
	info, err := Install(context.Background(), iotest.OneByteReader(bytes.NewReader(b)), dst,
		InstallOptions{Size: int64(len(b))})
	if err != nil {
		t.Fatal(err)
	}
	if info.Level != LevelQuick || info.Size != int64(len(b)) || !info.WAL {
		t.Errorf("info %+v", info)
	}
	onDisk, err := os.ReadFile(dst)
	if err != nil || !bytes.Equal(onDisk, b) {
		t.Errorf("%v, %d bytes of %d", err, len(onDisk), len(b))
	}
	if names, _ := os.ReadDir(filepath.Dir(dst)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestInstallRefusesNeighbours(t *testing.T) {
	b := image(t)
	for _, suffix := range append([]string{""}, auxSuffixes...) {
		for _, dangling := range []bool{false, true} {
			dir := t.TempDir()
			dst := filepath.Join(dir, "new.db")
			if dangling {
				os.Symlink("nowhere", dst+suffix)
			} else {
				writeFile(t, dst+suffix, []byte("mine"))
			}
			before := testkit.TakePicture(t, dir)
			_, err := Install(context.Background(), bytes.NewReader(b), dst, InstallOptions{})
			if e := wantKind(t, err, KindExists); !strings.HasSuffix(e.Error(), dst+suffix+" exists") {
				t.Error(e)
			}
			before.MustMatch(t, dir)
		}
	}
}

// TestInstallLosesRace: a file that appears while the image arrives is not touched.
func TestInstallLosesRace(t *testing.T) {
	b := image(t)
	for _, suffix := range append([]string{""}, auxSuffixes...) {
		dir := t.TempDir()
		dst := filepath.Join(dir, "new.db")
		r := io.MultiReader(bytes.NewReader(b), readerFunc(func([]byte) (int, error) {
			writeFile(t, dst+suffix, []byte("mine"))
			return 0, io.EOF
		}))
		_, err := Install(context.Background(), r, dst, InstallOptions{})
		wantKind(t, err, KindExists)
		if got, _ := os.ReadFile(dst + suffix); string(got) != "mine" {
			t.Errorf("%s was overwritten", dst+suffix)
		}
		if names, _ := os.ReadDir(dir); len(names) != 1 {
			t.Errorf("left behind: %v", names)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestInstallFails(t *testing.T) {
	b := image(t)
	broken := errors.New("broken")
	damaged := bytes.Clone(b)
	copy(damaged[3*4096:], make([]byte, 4096))
	cases := []struct {
		name string
		r    io.Reader
		is   error
		kind Kind
	}{
		{"the reader's error", io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken)), broken, ""},
		{"nothing", bytes.NewReader(nil), nil, KindCorrupt},
		{"short", bytes.NewReader(b[:len(b)-1]), nil, KindCorrupt},
		{"long", bytes.NewReader(append(bytes.Clone(b), 0)), nil, KindCorrupt},
		{"damaged", bytes.NewReader(damaged), nil, KindCorrupt},
	}
	for _, c := range cases {
		dir := t.TempDir()
		_, err := Install(context.Background(), c.r, filepath.Join(dir, "new.db"), InstallOptions{})
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.kind != "" {
			wantKind(t, err, c.kind)
		}
		if names, _ := os.ReadDir(dir); len(names) > 0 {
			t.Errorf("%s: left behind %v", c.name, names)
		}
	}
}

func TestVerify(t *testing.T) {
	b := image(t)
	temp := t.TempDir()
	info, err := Verify(context.Background(), bytes.NewReader(b), "app.db", VerifyOptions{Check: CheckFull,
		TempDir: temp})
	if err != nil || info.Level != LevelFull {
		t.Errorf("%v, %+v", err, info)
	}
	if names, _ := os.ReadDir(temp); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestCheckDestinationSameFile(t *testing.T) {
	db := newWAL(t)
	dir := filepath.Dir(db)
	hard, soft, linked := filepath.Join(dir, "hard"), filepath.Join(dir, "soft"), filepath.Join(t.TempDir(), "dir")
	os.Link(db, hard)
	os.Symlink(db, soft)
	os.Symlink(dir, linked)
	for _, dst := range []string{db, hard, soft, dir + "/./app.db", db + "-wal", db + "-journal",
		filepath.Join(linked, "app.db-shm")} {
		for _, source := range []string{db, soft} {
			wantKind(t, CheckDestination(source, dst), KindSameFile)
		}
	}
	wantKind(t, CheckDestination("", db), KindExists)
	wantKind(t, CheckDestination(filepath.Join(dir, "no.db"), db), KindExists)
	wantKind(t, CheckDestination(db, filepath.Join(dir, "no", "dir")), KindTemp)
	for _, suffix := range auxSuffixes { // of a database that is not the source
		wantKind(t, CheckDestination("", soft+suffix), KindSameFile)
		_, err := Install(t.Context(), bytes.NewReader(nil), hard+suffix, InstallOptions{})
		wantKind(t, err, KindSameFile)
	}
	os.Mkdir(filepath.Join(dir, "directory"), 0o700)
	for _, name := range []string{"other.db", "other.db-wal", "directory-wal", "-wal"} {
		if err := CheckDestination(db, filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if got := fmt.Sprint(DatabaseFiles("a.db")); got != "[a.db a.db-wal a.db-shm a.db-journal]" {
		t.Error(got)
	}
}

// TestInstallProgress: bytes are counted while they arrive, then SQLite checks all of them.
func TestInstallProgress(t *testing.T) {
	b := image(t)
	var seen []Progress
	_, err := Install(t.Context(), bytes.NewReader(b), filepath.Join(t.TempDir(), "new.db"), InstallOptions{
		Size: int64(len(b)), Progress: func(p Progress) { seen = append(seen, p) }})
	size := int64(len(b))
	if want := []Progress{{PhaseCopy, size, size}, {PhaseCheck, 0, size}}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("%v, progress %v, want %v", err, seen, want)
	}
}

// TestNoSpaceIsFoundFirst: an image that cannot fit is not read.
func TestNoSpaceIsFoundFirst(t *testing.T) {
	const size = 1 << 60
	unread := readerFunc(func([]byte) (int, error) {
		t.Error("it was read")
		return 0, io.EOF
	})
	dir := t.TempDir()
	_, err := Install(context.Background(), unread, filepath.Join(dir, "new.db"), InstallOptions{Size: size})
	wantKind(t, err, KindNoSpace)
	_, err = Verify(context.Background(), unread, "app.db", VerifyOptions{Size: size, TempDir: dir})
	wantKind(t, err, KindNoSpace)
	if names, _ := os.ReadDir(dir); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}
