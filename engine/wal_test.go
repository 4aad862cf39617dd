package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// specSum is the checksum as the file format's text states it, written down apart from the code under test.
func specSum(s0, s1 uint32, p []byte, order binary.ByteOrder) (uint32, uint32) {
	for i := 0; i < len(p); i += 8 {
		s0 += order.Uint32(p[i:]) + s1
		s1 += order.Uint32(p[i+4:]) + s0
	}
	return s0, s1
}

// sealWAL computes every checksum of a log anew, in the byte order that is asked for.
func sealWAL(wal []byte, pageSize int, order binary.ByteOrder) {
	magic := uint32(0x377f0682)
	if order == binary.ByteOrder(binary.BigEndian) {
		magic |= 1
	}
	binary.BigEndian.PutUint32(wal, magic)
	s0, s1 := specSum(0, 0, wal[:24], order)
	binary.BigEndian.PutUint32(wal[24:], s0)
	binary.BigEndian.PutUint32(wal[28:], s1)
	for frame := wal[32:]; len(frame) >= 24+pageSize; frame = frame[24+pageSize:] {
		s0, s1 = specSum(s0, s1, frame[:8], order)
		s0, s1 = specSum(s0, s1, frame[24:24+pageSize], order)
		binary.BigEndian.PutUint32(frame[16:], s0)
		binary.BigEndian.PutUint32(frame[20:], s1)
	}
}

// makeWAL builds a log of frames of random pages; every third one commits.
func makeWAL(frames, pageSize int, order binary.ByteOrder) []byte {
	wal := make([]byte, 32+frames*(24+pageSize))
	random := rand.NewChaCha8([32]byte{})
	random.Read(wal)
	binary.BigEndian.PutUint32(wal[4:], 3007000)
	binary.BigEndian.PutUint32(wal[8:], uint32(pageSize))
	for i := range frames {
		frame := wal[32+i*(24+pageSize):]
		binary.BigEndian.PutUint32(frame, uint32(i%7+1))
		binary.BigEndian.PutUint32(frame[4:], 0)
		if i%3 == 2 {
			binary.BigEndian.PutUint32(frame[4:], uint32(i+10))
		}
		copy(frame[8:16], wal[16:24])
	}
	sealWAL(wal, pageSize, order)
	return wal
}

func mustReadWAL(t testing.TB, wal []byte, pageSize int) walContents {
	t.Helper()
	c, err := readWAL(t.Context(), bytes.NewReader(wal), int64(len(wal)), pageSize)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWALBothByteOrdersAllPageSizes(t *testing.T) {
	for pageSize := minPageSize; pageSize <= maxPageSize; pageSize *= 2 {
		for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
			wal := makeWAL(65, pageSize, order)
			c := mustReadWAL(t, wal, pageSize)
			if !c.valid || c.frames != 65 || c.committed != 63 || c.pageCount != 72 {
				t.Errorf("%v, pages of %d: valid %v, frames %d, committed %d, pages %d, want true, 65, 63, 72",
					order, pageSize, c.valid, c.frames, c.committed, c.pageCount)
			}
			// Page 1 is in frames 0, 7, 14 ... 56 and, not committed, 63.
			if want := wal[32+56*(24+pageSize)+24:][:headerSize]; !bytes.Equal(c.page1, want) {
				t.Errorf("%v, pages of %d: not the newest committed page 1", order, pageSize)
			}
		}
	}
}

// Every way in which a frame or the header can be wrong ends the log there.
func TestWALEndsAtTheFirstWrongFrame(t *testing.T) {
	const pageSize, frame = 512, 24 + 512
	at := func(n, offset int) int { return 32 + n*frame + offset }
	whole := makeWAL(12, pageSize, binary.LittleEndian)
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
		{"other version", func(wal []byte) []byte { wal[7]++; sealWAL(wal, pageSize, binary.LittleEndian); return wal }, 0},
		{"other page size", func(wal []byte) []byte { wal[10] *= 2; sealWAL(wal, pageSize, binary.LittleEndian); return wal }, 0},
		{"page 0", func(wal []byte) []byte {
			binary.BigEndian.PutUint32(wal[at(7, 0):], 0)
			sealWAL(wal, pageSize, binary.LittleEndian)
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
		if got.committed != c.committed {
			t.Errorf("%s: %d committed frames, want %d", c.name, got.committed, c.committed)
		}
	}
}

// A log may be cut, in a copy or by a crash, at any byte. What counts is what SQLite itself finds then.
func TestWALCutAnywhere(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a.db")
	live := open(t, db, "PRAGMA page_size=512; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);")
	for i := range 6 {
		live.run(fmt.Sprintf("BEGIN; PRAGMA user_version=%d; INSERT INTO t VALUES(zeroblob(%d)); COMMIT;", i+1, 200+200*i))
	}
	wal, err := os.ReadFile(db + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	cold := copyDatabase(t, db)
	commits := commitEnds(wal, 512)
	if len(commits) != 7 {
		t.Fatalf("commits end at %v, want 7 of them", commits)
	}
	for n := range len(wal) + 1 {
		var want int64
		for _, end := range commits {
			if n >= end {
				want = int64((end - 32) / (24 + 512))
			}
		}
		if got := mustReadWAL(t, wal[:n], 512).committed; got != want {
			t.Fatalf("cut to %d bytes: %d committed frames, want %d", n, got, want)
		}
		if n%211 == 0 || slicesNear(commits, n) || n == len(wal) {
			compareWithSQLite(t, cold, wal[:n], fmt.Sprintf("cut to %d bytes", n))
		}
	}
	for n := 5; n < len(wal); n += 397 {
		flipped := bytes.Clone(wal)
		flipped[n] ^= 0x10
		compareWithSQLite(t, cold, flipped, fmt.Sprintf("byte %d flipped", n))
	}
	sealWAL(wal, 512, binary.BigEndian)
	compareWithSQLite(t, cold, wal, "big-endian")
	sealWAL(wal, 512, binary.LittleEndian)
	compareWithSQLite(t, cold, wal, "little-endian")
}

// commitEnds lists the offsets behind the frames that commit.
func commitEnds(wal []byte, pageSize int) (ends []int) {
	for end := 32 + 24 + pageSize; end <= len(wal); end += 24 + pageSize {
		if binary.BigEndian.Uint32(wal[end-24-pageSize+4:]) != 0 {
			ends = append(ends, end)
		}
	}
	return ends
}

func slicesNear(offsets []int, n int) bool {
	for _, offset := range offsets {
		if n >= offset-1 && n <= offset+1 {
			return true
		}
	}
	return false
}

// compareWithSQLite puts a log beside a database, inspects it, and then lets the sqlite3 shell recover it.
func compareWithSQLite(t *testing.T, db string, wal []byte, what string) {
	t.Helper()
	os.Remove(db + "-shm")
	if err := os.WriteFile(db+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	main, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	before := picture.Take(t, filepath.Dir(db))
	in, err := Inspect(t.Context(), db)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	before.MustMatch(t, filepath.Dir(db))
	got := fmt.Sprintf("%d %d %d %d", in.UserVersion, in.PageCount, in.FreelistCount, in.WAL.CommittedFrames)
	if want := recoveredBySQLite(t, db); got != want {
		t.Errorf("%s: user version, pages, freelist, frames: %s, want as SQLite says %s", what, got, want)
	}
	if err := os.WriteFile(db, main, 0o600); err != nil {
		t.Fatal(err)
	}
}

// recoveredBySQLite asks a real connection, which recovers the log.
func recoveredBySQLite(t *testing.T, db string) string {
	t.Helper()
	answer := strings.Fields(sqlite(t, db,
		"PRAGMA user_version; PRAGMA page_count; PRAGMA freelist_count; PRAGMA wal_checkpoint(PASSIVE);"))
	if len(answer) != 4 {
		t.Fatalf("sqlite3 answers %q", answer)
	}
	frames := strings.Split(answer[3], "|")[1]
	if frames == "-1" {
		frames = "0"
	}
	return strings.Join(answer[:3], " ") + " " + frames
}

// A log for pages of another size belongs to another database.
func TestWALOfOtherPageSize(t *testing.T) {
	for _, pageSize := range []int{512, 2048} {
		c := mustReadWAL(t, makeWAL(12, 1024, binary.LittleEndian), pageSize)
		if c.valid || c.committed != 0 {
			t.Errorf("pages of %d: valid %v, %d committed frames", pageSize, c.valid, c.committed)
		}
	}
}

func TestWALStartedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db-wal")
	write(t, path, makeWAL(6, 512, binary.LittleEndian))
	wal := openSibling(path)
	defer wal.close()
	c, err := readWAL(t.Context(), wal.file, wal.size, 512)
	if err != nil || c.startedOver(wal) {
		t.Errorf("untouched: error %v, started over %v", err, c.startedOver(wal))
	}
	write(t, path, makeWAL(6, 512, binary.BigEndian))
	if !c.startedOver(wal) {
		t.Error("another header is not seen")
	}
	write(t, path, nil)
	if !c.startedOver(wal) {
		t.Error("truncation is not seen")
	}
}

func TestWALFlatMemory(t *testing.T) {
	const pageSize = 4096
	wal := makeWAL(16384, pageSize, binary.LittleEndian)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := mustReadWAL(t, wal, pageSize)
	runtime.ReadMemStats(&after)
	if c.committed != 16383 {
		t.Fatalf("%d committed frames, want 16383", c.committed)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*walReadSize {
		t.Errorf("%d bytes allocated for a log of %d", used, len(wal))
	}
}

func TestWALCancel(t *testing.T) {
	wal := makeWAL(16, 512, binary.LittleEndian)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := readWAL(ctx, bytes.NewReader(wal), int64(len(wal)), 512); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

// A reader that fails must not pass for a log that ends.
func TestWALReadError(t *testing.T) {
	wal := makeWAL(16, 512, binary.LittleEndian)
	for _, after := range []int64{0, 32, 1000} {
		_, err := readWAL(t.Context(), brokenReader{wal, after}, int64(len(wal)), 512)
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

// A wal-index counts only if both copies of its header agree and their checksum holds.
func TestWALIndex(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a.db")
	live := open(t, db, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x); INSERT INTO t VALUES(1);")
	live.run("PRAGMA wal_checkpoint(PASSIVE);")
	shm, err := os.ReadFile(db + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	index, ok := readWALIndex(bytes.NewReader(shm))
	if !ok || index.backfill != 3 {
		t.Errorf("ok %v, backfill %d, want true, 3", ok, index.backfill)
	}
	for i := range 2 * walIndexHeaderSize {
		torn := bytes.Clone(shm)
		torn[i] ^= 1
		if _, ok := readWALIndex(bytes.NewReader(torn)); ok {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
	for i := range walIndexHeaderSize {
		wrong := bytes.Clone(shm)
		wrong[i] ^= 1
		wrong[walIndexHeaderSize+i] ^= 1
		if _, ok := readWALIndex(bytes.NewReader(wrong)); ok {
			t.Errorf("accepted with byte %d changed in both copies", i)
		}
	}
	for _, n := range []int{0, 48, 99} {
		if _, ok := readWALIndex(bytes.NewReader(shm[:n])); ok {
			t.Errorf("accepted with %d bytes", n)
		}
	}
	if _, ok := readWALIndex(bytes.NewReader(make([]byte, 32768))); ok {
		t.Error("accepted with zeros")
	}
}

func FuzzWAL(f *testing.F) {
	for _, pageSize := range []int{512, 1024} {
		f.Add(makeWAL(7, pageSize, binary.LittleEndian), pageSize)
		f.Add(makeWAL(4, pageSize, binary.BigEndian), pageSize)
	}
	f.Add([]byte{}, 4096)
	f.Fuzz(func(t *testing.T, wal []byte, size int) {
		pageSize := minPageSize << (uint(size) % 8)
		checkWALContents(t, wal, mustReadWAL(t, wal, pageSize), pageSize)
		if len(wal) < walHeaderSize {
			return
		}
		// Checksums would stop nearly every mutation at once, so let them hold.
		wal = bytes.Clone(wal)
		binary.BigEndian.PutUint32(wal[4:], walVersion)
		binary.BigEndian.PutUint32(wal[8:], uint32(pageSize))
		sealWAL(wal, pageSize, binary.BigEndian)
		checkWALContents(t, wal, mustReadWAL(t, wal, pageSize), pageSize)
		readWALIndex(bytes.NewReader(wal))
	})
}

func checkWALContents(t *testing.T, wal []byte, c walContents, pageSize int) {
	t.Helper()
	if c.committed > c.frames || c.frames*int64(24+pageSize) > int64(len(wal)) {
		t.Errorf("%d committed of %d frames in %d bytes", c.committed, c.frames, len(wal))
	}
	if (c.committed > 0) != (c.pageCount > 0) {
		t.Errorf("%d committed frames, %d pages", c.committed, c.pageCount)
	}
	if c.page1 != nil && (len(c.page1) != headerSize || !bytes.Contains(wal, c.page1)) {
		t.Error("page 1 is not from the log")
	}
}

func BenchmarkWAL(b *testing.B) {
	wal := makeWAL(16384, 4096, binary.LittleEndian)
	b.SetBytes(int64(len(wal)))
	for b.Loop() {
		mustReadWAL(b, wal, 4096)
	}
}
