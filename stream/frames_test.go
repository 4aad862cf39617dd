package stream

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// splitFrames cuts a compressed stream into its frames, the skippable one with the trailer last.
func splitFrames(t testing.TB, stream []byte) [][]byte {
	t.Helper()
	src := newSource(bytes.NewReader(stream))
	var frames [][]byte
	for {
		head, err := src.peek(maxFrameHeader)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(head, []byte(zstdMagic)) {
			break
		}
		h, err := parseFrameHeader(head)
		if err != nil {
			t.Fatal(err)
		}
		frame, err := readFrame(src, nil, h.size)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	if rest := stream[src.size:]; len(rest) > 0 {
		frames = append(frames, rest)
	}
	return frames
}

// zstdFrames compresses data as frames of size bytes of content each, of the shape that pieces
// have.
func zstdFrames(t testing.TB, data []byte, size int) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(true),
		zstd.WithZeroFrames(true))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	if len(data) == 0 {
		return enc.EncodeAll(nil, nil)
	}
	var frames []byte
	for ; len(data) > 0; data = data[min(size, len(data)):] {
		frames = enc.EncodeAll(data[:min(size, len(data))], frames)
	}
	return frames
}

// withFrameHeader gives a frame another header: this descriptor and a content size of 8 bytes.
func withFrameHeader(frame []byte, descriptor byte, size uint64) []byte {
	h, err := parseFrameHeader(frame)
	if err != nil {
		panic(err)
	}
	header := append([]byte(zstdMagic), descriptor)
	header = binary.LittleEndian.AppendUint64(header, size)
	return append(header, frame[h.size:]...)
}
