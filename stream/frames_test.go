package stream

import (
	"bytes"
	"testing"
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
