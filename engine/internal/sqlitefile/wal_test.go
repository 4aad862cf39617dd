package sqlitefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile/waltest"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func mustReadWAL(t testing.TB, wal []byte, pageSize int) WAL {
	t.Helper()
	c, err := ReadWAL(t.Context(), bytes.NewReader(wal), int64(len(wal)), pageSize)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWALBothByteOrdersAllPageSizes(t *testing.T) {
	for pageSize := MinPageSize; pageSize <= MaxPageSize; pageSize *= 2 {
		for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
			wal := waltest.Make(65, pageSize, order)
			c := mustReadWAL(t, wal, pageSize)
			if !c.Valid || c.Frames != 65 || c.Committed != 63 || c.PageCount != 72 {
				t.Errorf("%v, pages of %d: valid %v, frames %d, committed %d, pages %d, want true, 65, 63, 72",
					order, pageSize, c.Valid, c.Frames, c.Committed, c.PageCount)
			}
			// Page 1 is in frames 0, 7, 14 ... 56 and, not committed, 63.
			if want := wal[32+56*(24+pageSize)+24:][:HeaderSize]; !bytes.Equal(c.Page1, want) {
				t.Errorf("%v, pages of %d: not the newest committed page 1", order, pageSize)
			}
		}
	}
}

// A WAL ends before the first frame with any kind of error.
func TestWALEndsAtTheFirstWrongFrame(t *testing.T) {
	const pageSize, frame = 512, 24 + 512
	at := func(n, offset int) int { return 32 + n*frame + offset }
	whole := waltest.Make(12, pageSize, binary.LittleEndian)
	cases := []struct {
		name      string
		spoil     func(wal []byte) []byte
		committed int64
	}{
		{"nothing", func(wal []byte) []byte { return wal }, 12},
		{"empty", func([]byte) []byte { return nil }, 0},
		{"half a header", func(wal []byte) []byte { return wal[:31] }, 0},
		{"only the header", func(wal []byte) []byte { return wal[:32] }, 0},
		{"magic", func(wal []byte) []byte { wal[0] ^= 1; return wal }, 0},
		{"byte order", func(wal []byte) []byte { wal[3] ^= 1; return wal }, 0},
		{"salt of the header", func(wal []byte) []byte { wal[16] ^= 1; return wal }, 0},
		{"other version", func(wal []byte) []byte {
			wal[7]++
			waltest.Seal(wal, pageSize,
				binary.LittleEndian)
			return wal
		}, 0},
		{"other page size", func(wal []byte) []byte {
			wal[10] *= 2
			waltest.Seal(wal, pageSize,
				binary.LittleEndian)
			return wal
		}, 0},
		{"page 0", func(wal []byte) []byte {
			binary.BigEndian.PutUint32(wal[at(7, 0):], 0)
			waltest.Seal(wal, pageSize, binary.LittleEndian)
			return wal
		}, 6},
		{"salt of a frame", func(wal []byte) []byte { wal[at(7, 8)] ^= 1; return wal }, 6},
		{"checksum of a frame", func(wal []byte) []byte { wal[at(4, 16)] ^= 1; return wal }, 3},
		{"commit mark taken away", func(wal []byte) []byte { wal[at(5, 7)] = 0; return wal }, 3},
		{"last byte of a page", func(wal []byte) []byte { wal[at(9, frame-1)] ^= 1; return wal }, 9},
		{"torn last frame", func(wal []byte) []byte { return wal[:len(wal)-1] }, 9},
		{"garbage behind", func(wal []byte) []byte { return append(wal, make([]byte, 3*frame)...) }, 12},
		{"the log again", func(wal []byte) []byte { return append(wal, wal[32:]...) }, 12},
	}
	for _, c := range cases {
		got := mustReadWAL(t, c.spoil(bytes.Clone(whole)), pageSize)
		if got.Committed != c.committed {
			t.Errorf("%s: %d committed frames, want %d", c.name, got.Committed, c.committed)
		}
	}
}

// A WAL with another page size belongs to another database.
func TestWALOfOtherPageSize(t *testing.T) {
	for _, pageSize := range []int{512, 2048} {
		c := mustReadWAL(t, waltest.Make(12, 1024, binary.LittleEndian), pageSize)
		if c.Valid || c.Committed != 0 {
			t.Errorf("pages of %d: valid %v, %d committed frames", pageSize, c.Valid, c.Committed)
		}
	}
}

func TestWALStartedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db-wal")
	write(t, path, waltest.Make(6, 512, binary.LittleEndian))
	wal := OpenAux(path)
	defer wal.Close()
	c, err := ReadWAL(t.Context(), wal.File, wal.Size, 512)
	if err != nil || c.Restarted(wal) {
		t.Errorf("untouched: error %v, started over %v", err, c.Restarted(wal))
	}
	write(t, path, waltest.Make(6, 512, binary.BigEndian))
	if !c.Restarted(wal) {
		t.Error("another header is not seen")
	}
	write(t, path, nil)
	if !c.Restarted(wal) {
		t.Error("truncation is not seen")
	}
	if c, err = ReadWAL(t.Context(), wal.File, wal.Size, 512); err != nil || !c.Restarted(wal) {
		t.Errorf("truncation before the WAL was read is not seen: %v", err)
	}
}

func TestWALFlatMemory(t *testing.T) {
	const pageSize = 4096
	wal := waltest.Make(16384, pageSize, binary.LittleEndian)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := mustReadWAL(t, wal, pageSize)
	runtime.ReadMemStats(&after)
	if c.Committed != 16383 {
		t.Fatalf("%d committed frames, want 16383", c.Committed)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*walReadSize {
		t.Errorf("%d bytes allocated for a log of %d", used, len(wal))
	}
}

func TestWALCancel(t *testing.T) {
	wal := waltest.Make(16, 512, binary.LittleEndian)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadWAL(ctx, bytes.NewReader(wal), int64(len(wal)), 512); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

// A read error is not the end of the WAL.
func TestWALReadError(t *testing.T) {
	wal := waltest.Make(16, 512, binary.LittleEndian)
	for _, after := range []int64{0, 32, 1000} {
		_, err := ReadWAL(t.Context(), brokenReader{wal, after}, int64(len(wal)), 512)
		if !errors.Is(err, errBroken) {
			t.Errorf("broken after %d bytes: error %v", after, err)
		}
	}
}

var errBroken = errors.New("broken disk")

type brokenReader struct {
	data  []byte
	after int64
}

func (r brokenReader) ReadAt(p []byte, offset int64) (int, error) {
	n := copy(p, r.data[offset:])
	if offset+int64(n) > r.after {
		return 0, errBroken
	}
	return n, nil
}

// A wal-index is valid only if both copies of its header agree and their checksum holds.
func TestWALIndex(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a.db")
	live, err := testkit.StartShell(exec.Command(testkit.Tool(t, "sqlite3"), "-batch", db))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if _, err := live.Run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);",
		"INSERT INTO t VALUES(1);",
		"PRAGMA wal_checkpoint(PASSIVE);"); err != nil {
		t.Fatal(err)
	}
	shm, err := os.ReadFile(db + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	index, ok := ReadWALIndex(bytes.NewReader(shm))
	if !ok || index.Backfill != 3 {
		t.Errorf("ok %v, backfill %d, want true, 3", ok, index.Backfill)
	}
	for i := range 2 * walIndexHeaderSize {
		torn := bytes.Clone(shm)
		torn[i] ^= 1
		if _, ok := ReadWALIndex(bytes.NewReader(torn)); ok {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
	for i := range walIndexHeaderSize {
		wrong := bytes.Clone(shm)
		wrong[i] ^= 1
		wrong[walIndexHeaderSize+i] ^= 1
		if _, ok := ReadWALIndex(bytes.NewReader(wrong)); ok {
			t.Errorf("accepted with byte %d changed in both copies", i)
		}
	}
	for _, n := range []int{0, 48, 99} {
		if _, ok := ReadWALIndex(bytes.NewReader(shm[:n])); ok {
			t.Errorf("accepted with %d bytes", n)
		}
	}
	if _, ok := ReadWALIndex(bytes.NewReader(make([]byte, 32768))); ok {
		t.Error("accepted with zeros")
	}
}

func FuzzWAL(f *testing.F) {
	for _, pageSize := range []int{512, 1024} {
		f.Add(waltest.Make(7, pageSize, binary.LittleEndian), pageSize)
		f.Add(waltest.Make(4, pageSize, binary.BigEndian), pageSize)
	}
	f.Add([]byte{}, 4096)
	f.Fuzz(func(t *testing.T, wal []byte, size int) {
		pageSize := MinPageSize << (uint(size) % 8)
		checkWALContents(t, wal, mustReadWAL(t, wal, pageSize), pageSize)
		if len(wal) < WALHeaderSize {
			return
		}
		// Wrong checksums would stop nearly every mutation at once, so correct them.
		wal = bytes.Clone(wal)
		binary.BigEndian.PutUint32(wal[4:], walVersion)
		binary.BigEndian.PutUint32(wal[8:], uint32(pageSize))
		waltest.Seal(wal, pageSize, binary.BigEndian)
		checkWALContents(t, wal, mustReadWAL(t, wal, pageSize), pageSize)
		ReadWALIndex(bytes.NewReader(wal))
	})
}

func checkWALContents(t *testing.T, wal []byte, c WAL, pageSize int) {
	t.Helper()
	if c.Committed > c.Frames || c.Frames*int64(24+pageSize) > int64(len(wal)) {
		t.Errorf("%d committed of %d frames in %d bytes", c.Committed, c.Frames, len(wal))
	}
	if (c.Committed > 0) != (c.PageCount > 0) {
		t.Errorf("%d committed frames, %d pages", c.Committed, c.PageCount)
	}
	if c.Page1 != nil && (len(c.Page1) != HeaderSize || !bytes.Contains(wal, c.Page1)) {
		t.Error("page 1 is not from the log")
	}
}

func BenchmarkWAL(b *testing.B) {
	wal := waltest.Make(16384, 4096, binary.LittleEndian)
	b.SetBytes(int64(len(wal)))
	for b.Loop() {
		mustReadWAL(b, wal, 4096)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
