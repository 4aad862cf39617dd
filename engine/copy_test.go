package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// pinned begins a read transaction, which ends with the test.
func pinned(t testing.TB, db string) *readTx {
	t.Helper()
	p, err := openForTest(t, db).beginRead(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestCopyWithoutProgress: the driver reports a locked destination as success, so the loop would
// never end.
func TestCopyWithoutProgress(t *testing.T) {
	p := pinned(t, newRollback(t))
	dst := filepath.Join(t.TempDir(), "image.db")
	writeFile(t, dst, nil)
	held, err := os.Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := lockShared(held); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = copyPages(ctx, p, held, SnapshotOptions{})
	if wantKind(t, err, KindInternal); !errors.Is(err, errNoProgress) {
		t.Error(err)
	}
}

// TestRoomForTheRest: each step of a copy asks for the room that the rest of it needs.
func TestRoomForTheRest(t *testing.T) {
	p := pinned(t, newRollback(t))
	f, err := os.Create(filepath.Join(t.TempDir(), "image.db"))
	must(t, err)
	defer f.Close()
	var rooms []int64
	p.room = func(left int64) error { rooms = append(rooms, left); return nil }
	_, err = copyPages(t.Context(), p, f, SnapshotOptions{PagesPerStep: 1})
	must(t, err)
	for i, room := range rooms {
		if want := (p.pages - int64(i)) * p.pageSize; room != want {
			t.Errorf("step %d asks for %d bytes, want %d", i, room, want)
		}
	}
	if len(rooms) < 2 {
		t.Errorf("%d steps", len(rooms))
	}
}

// TestCheckCopy: a copy that is not exactly what should have been copied is refused, even if it
// passes SQLite's check.
func TestCheckCopy(t *testing.T) {
	db := newRollback(t)
	p := pinned(t, db)
	good, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	sqlite(t, empty, "PRAGMA page_size=4096;", "VACUUM;")
	other, err := os.ReadFile(empty)
	if err != nil {
		t.Fatal(err)
	}
	header := func(offset int, value uint32) []byte {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[offset:], value)
		return b
	}
	cases := []struct {
		name  string
		copy  []byte
		pages int64 // that the backup says
		kind  Kind
	}{
		{"the database", good, p.pages, ""},
		{"nothing", nil, p.pages, KindTemp},
		{"zeros", make([]byte, len(good)), p.pages, KindTemp},
		{"cut by a byte", good[:len(good)-1], p.pages, KindTemp},
		{"cut by a page", good[:len(good)-4096], p.pages, KindTemp},
		{"longer by a page", append(bytes.Clone(good), make([]byte, 4096)...), p.pages, KindTemp},
		{"an empty database", other, int64(len(other) / 4096), KindInternal},
		{"a page fewer, which all agree on", header(28, uint32(p.pages-1))[:len(good)-4096], p.pages - 1, KindInternal},
		{"another page count", header(28, uint32(p.pages-1)), p.pages, KindInternal},
		{"a page count that is not valid", header(92, 0), p.pages, KindInternal},
		{"another page size", header(16, 2048<<16|0x0101), p.pages, KindInternal},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), "image.db")
		writeFile(t, path, c.copy)
		err := checkCopy(p, openFile(t, path), c.pages)
		if c.kind == "" && err != nil || c.kind != "" && !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want kind %q", c.name, err, c.kind)
		}
	}
}

// TestReadOfCutCopy: the end of a copy that somebody has truncated is not taken for the end of the
// database.
func TestReadOfCutCopy(t *testing.T) {
	s, err := TakeSnapshot(context.Background(), newRollback(t), SnapshotOptions{Destination: filepath.Join(t.TempDir(),
		"copy.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(s.file.Name(), s.Size()-4096); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, s)
	if wantKind(t, err, KindTemp); n != s.Size()-4096 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes of %d: %v", n, s.Size(), err)
	}
}

// A kernelSender keeps the file of a copy that it is offered.
type kernelSender struct {
	io.Writer
	offer io.Reader
}

func (k *kernelSender) ReadFrom(r io.Reader) (int64, error) {
	k.offer = r
	return io.Copy(k.Writer, r)
}

// TestSnapshotWriteTo: a writer that can have the kernel send a file gets the file of the image.
func TestSnapshotWriteTo(t *testing.T) {
	s, err := TakeSnapshot(context.Background(), newRollback(t), SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := sha256.New()
	k := &kernelSender{Writer: h}
	n, err := io.Copy(k, s)
	digest, hashErr := s.SHA256()
	if n != s.Size() || errors.Join(err, hashErr) != nil || !bytes.Equal(h.Sum(nil), digest[:]) {
		t.Errorf("%d bytes of %d, %v, %v", n, s.Size(), err, hashErr)
	}
	section, ok := k.offer.(*io.SectionReader)
	if !ok {
		t.Fatalf("the offer is a %T", k.offer)
	}
	outer, offset, size := section.Outer()
	file, ok := outer.(syscall.Conn)
	if !ok || offset != 0 || size != s.Size() {
		t.Fatalf("the offer is %T, %d to %d", outer, offset, size)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) {
		if fd != s.file.Fd() {
			t.Error("the descriptor is not the copy's")
		}
	}); err != nil {
		t.Error(err)
	}
}

// TestSourceIsFreeDuringCheck: writers in rollback mode wait for the copy, not for the check.
func TestSourceIsFreeDuringCheck(t *testing.T) {
	db := newRollback(t)
	committed := false
	image, _, err := snapshot(t, db, SnapshotOptions{Progress: func(p Progress) {
		if p.Phase == PhaseCheck && !committed {
			committed = true
			sqlite(t, db, addRows)
		}
	}})
	if err != nil || !committed {
		t.Fatal(committed, err)
	}
	if got := rows(t, image) + " " + sqlite(t, db, "SELECT count(*) FROM t;"); got != "ok\n500 600" {
		t.Errorf("rows of the copy and of the source: %q", got)
	}
}

// TestCheckConnection: a hostile schema can run nothing, and every cell is checked.
func TestCheckConnection(t *testing.T) {
	c, err := openImage(context.Background(), openFile(t, newRollback(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for pragma, want := range map[string]int64{"trusted_schema": 0, "cell_size_check": 1, "mmap_size": maxMapped} {
		if got, err := c.queryInt(context.Background(), "PRAGMA "+pragma); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", pragma, got, err, want)
		}
	}
}

// TestCopyIsProven: what SQLite says it has copied is verified, even if no check follows.
func TestCopyIsProven(t *testing.T) {
	temp := t.TempDir()
	_, err := TakeSnapshot(context.Background(), newRollback(t), SnapshotOptions{TempDir: temp, Check: CheckNone,
		Progress: func(p Progress) {
			if p.Phase != PhaseCopy || p.Done < p.Total {
				return
			}
			copies, err := filepath.Glob(filepath.Join(temp, "*", imageName))
			if err != nil || len(copies) != 1 {
				t.Fatal(copies, err)
			}
			if err := os.Truncate(copies[0], p.Total-1); err != nil {
				t.Error(err)
			}
		}})
	wantKind(t, err, KindTemp)
}
