package stream

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

// testImage makes a valid SQLite database of pages pages, all but the first of them free: their
// content is what fill says, given the page's bytes and number. Page 1 is an empty schema, page 2
// lists the others.
func testImage(t testing.TB, pageSize, pages int, fill func(page []byte, number int)) []byte {
	t.Helper()
	if pages > 2 && pages-2 > pageSize/4-2 {
		t.Fatalf("one page of %d bytes cannot list %d free ones", pageSize, pages)
	}
	db := make([]byte, pageSize*pages)
	copy(db, imageMagic)
	binary.BigEndian.PutUint16(db[16:], uint16(pageSize&0xffff|pageSize>>16))
	copy(db[18:], []byte{1, 1, 0, 64, 32, 32})
	binary.BigEndian.PutUint32(db[24:], 1)
	binary.BigEndian.PutUint32(db[28:], uint32(pages))
	binary.BigEndian.PutUint32(db[44:], 4)
	binary.BigEndian.PutUint32(db[56:], 1)
	binary.BigEndian.PutUint32(db[92:], 1)
	binary.BigEndian.PutUint32(db[96:], 3054001)
	db[100] = 0x0d
	binary.BigEndian.PutUint16(db[105:], uint16(pageSize))
	if pages == 1 {
		return db
	}
	binary.BigEndian.PutUint32(db[32:], 2)
	binary.BigEndian.PutUint32(db[36:], uint32(pages-1))
	trunk := db[pageSize:]
	binary.BigEndian.PutUint32(trunk[4:], uint32(pages-2))
	for n := 3; n <= pages; n++ {
		binary.BigEndian.PutUint32(trunk[8+4*(n-3):], uint32(n))
		fill(db[(n-1)*pageSize:n*pageSize], n)
	}
	return db
}

// tinyImage is the smallest database there is.
func tinyImage(t testing.TB) []byte { return testImage(t, 512, 1, nil) }

// smallImage has a few pages of text.
func smallImage(t testing.TB) []byte { return testImage(t, 512, 4, text) }

// largeImage has size bytes, a multiple of 64 KiB, in several frames, which compress well or not at
// all.
func largeImage(t testing.TB, size int, fill func([]byte, int)) []byte {
	return testImage(t, 65536, size/65536, fill)
}

// text fills a page with words that compress to about a half, the same for the same page number.
func text(page []byte, number int) {
	words := rand.New(rand.NewPCG(7, uint64(number)))
	for i := range page {
		page[i] = "etaoin shrdlu"[words.IntN(13)]
	}
}

// noise fills a page with bytes that do not compress.
func noise(page []byte, number int) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(number))
	rand.NewChaCha8(seed).Read(page)
}

// sparse fills every seventh page with text, which is enough to make every megabyte different and
// compresses fast.
func sparse(page []byte, number int) {
	if number%7 == 3 {
		text(page[:4096], number)
	}
}

// zeros leaves a page unchanged.
func zeros([]byte, int) {}

func TestImageSize(t *testing.T) {
	for _, test := range []struct {
		name     string
		page     uint16
		pages    uint32
		size     int64
		wantErr  error
		mutilate func([]byte)
	}{
		{name: "smallest", page: 512, pages: 1, size: 512},
		{name: "usual", page: 4096, pages: 1000, size: 4096000},
		{name: "largest page", page: 1, pages: 3, size: 196608},
		{name: "largest image", page: 1, pages: 0xfffffffe, size: 0xfffffffe * 65536},
		{name: "too many pages", page: 1, pages: 0xffffffff, wantErr: ErrCorrupt},
		{name: "no pages", page: 4096, pages: 0, wantErr: ErrCorrupt},
		{name: "small page", page: 256, pages: 1, wantErr: ErrCorrupt},
		{name: "odd page", page: 1000, pages: 1, wantErr: ErrCorrupt},
		{name: "zero page", page: 0, pages: 1, wantErr: ErrCorrupt},
		{name: "no magic", page: 4096, pages: 1, wantErr: ErrFormat, mutilate: func(b []byte) { b[0] = 's' }},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := make([]byte, imageHeaderLen)
			copy(header, imageMagic)
			binary.BigEndian.PutUint16(header[16:], test.page)
			binary.BigEndian.PutUint32(header[28:], test.pages)
			if test.mutilate != nil {
				test.mutilate(header)
			}
			size, err := imageSize(header)
			if size != test.size || !errors.Is(err, test.wantErr) {
				t.Errorf("imageSize = %d, %v, want %d, %v", size, err, test.size, test.wantErr)
			}
		})
	}
}
