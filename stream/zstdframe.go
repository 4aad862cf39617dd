package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The layout of Zstandard frames is that of RFC 8878, 3.1.
const (
	zstdMagic = "\x28\xb5\x2f\xfd"

	// trailerFrameHeader begins the skippable frame that holds the trailer: its magic number,
	// 0x184D2A53, and the length of its content, [TrailerSize], both little-endian.
	trailerFrameHeader = "\x53\x2a\x4d\x18\x00\x01\x00\x00"

	maxFrameHeader = 18 // bytes: magic number 4, descriptor 1, window 1, dictionary 4, content size 8
	blockHeader    = 3  // bytes
	blockRLE       = 1  // the type of a block that holds one byte, to be repeated
	contentCheck   = 4  // bytes of the checksum at the end of a frame
	maxBlock       = 128 << 10
	maxFrame       = PieceSize + 64<<10
)

// A frameHeader is a magic number and a Frame_Header.
type frameHeader struct {
	size       int // bytes
	descriptor byte
	content    int64 // bytes; -1 if unknown
}

// Bits of the Frame_Header_Descriptor.
const (
	hasDictionary = 0b0000_0011
	hasChecksum   = 0b0000_0100
	reservedBits  = 0b0001_1000
	singleSegment = 0b0010_0000
)

// parseFrameHeader reads the header that data begins with. It fails with [io.ErrUnexpectedEOF] if
// data is too short.
func parseFrameHeader(data []byte) (frameHeader, error) {
	if len(data) <= len(zstdMagic) {
		return frameHeader{}, io.ErrUnexpectedEOF
	}
	h := frameHeader{descriptor: data[len(zstdMagic)], content: -1}
	windowLen, dictLen, sizeLen := 1, []int{0, 1, 2, 4}[h.descriptor&hasDictionary], []int{0, 2, 4, 8}[h.descriptor>>6]
	if h.descriptor&singleSegment != 0 {
		windowLen, sizeLen = 0, max(sizeLen, 1)
	}
	h.size = len(zstdMagic) + 1 + windowLen + dictLen + sizeLen
	if len(data) < h.size {
		return frameHeader{}, io.ErrUnexpectedEOF
	}
	if sizeLen > 0 {
		h.content = contentSize(data[h.size-sizeLen : h.size])
	}
	return h, nil
}

// contentSize decodes a Frame_Content_Size. One that overflows an int64 counts as unknown.
func contentSize(field []byte) int64 {
	size := binary.LittleEndian.Uint64(append(slices.Clone(field), make([]byte, 8)...))
	if len(field) == 2 {
		size += 256
	}
	return max(int64(size), -1)
}

// check returns an error if the header is not that of a piece.
func (h frameHeader) check() error {
	switch {
	case h.descriptor&hasDictionary != 0:
		return errors.New("it needs a dictionary")
	case h.descriptor&reservedBits != 0:
		return errors.New("it has reserved bits set")
	case h.descriptor&hasChecksum == 0:
		return errors.New("it has no checksum")
	case h.descriptor&singleSegment == 0:
		return errors.New("it is not of a single segment")
	case h.content < 0 || h.content > PieceSize:
		return errors.New("its content is too large")
	}
	return nil
}

// readFrame appends the next frame of src, header included, to frame. It checks lengths only.
func readFrame(src *source, frame []byte, header int) ([]byte, error) {
	frame, err := src.append(frame, header)
	for last := false; !last && err == nil; {
		frame, last, err = readBlock(src, frame)
	}
	if err == nil {
		frame, err = src.append(frame, contentCheck)
	}
	return frame, err
}

// readBlock appends the next block of a frame.
func readBlock(src *source, frame []byte) (_ []byte, last bool, err error) {
	frame, err = src.append(frame, blockHeader)
	if err != nil {
		return frame, false, err
	}
	b := frame[len(frame)-blockHeader:]
	header := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	size := header >> 3
	if size > maxBlock {
		return frame, false, fmt.Errorf("%w: a block of %d bytes", ErrCorrupt, size)
	}
	if header>>1&3 == blockRLE {
		size = 1
	}
	if len(frame)+size+contentCheck > maxFrame {
		return frame, false, fmt.Errorf("%w: a frame of more than %d bytes", ErrCorrupt, maxFrame)
	}
	frame, err = src.append(frame, size)
	return frame, header&1 != 0, err
}
