package stream

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// twoFrames is an image of two pieces that compresses to next to nothing.
func twoFrames(t testing.TB) []byte { return largeImage(t, PieceSize+65536, zeros) }

func (m *vectorMaker) compressedStreams() {
	tiny, small, large := tinyImage(m.t), smallImage(m.t), twoFrames(m.t)
	one := largeImage(m.t, PieceSize, zeros)
	stream, _ := encode(m.t, tiny, WriterOptions{Format: Zstd, Check: "quick"})
	smallStream, _ := encode(m.t, small, WriterOptions{Format: Zstd, Check: "quick"})
	largeStream, _ := encode(m.t, large, WriterOptions{Format: Zstd, Check: "quick"})
	frame := splitFrames(m.t, stream)[0]
	m.add("zstd_tiny", "success", "the smallest database there is", stream).of(tiny)
	m.add("zstd_pages", "success", "a database of four pages", smallStream).of(small)
	m.add("zstd_one_piece", "success", "a database of 1 MiB, exactly one frame",
		must2(encode(m.t, one, WriterOptions{Format: Zstd}))).of(one)
	m.add("zstd_two_frames", "success", "a database of 1 MiB and 64 KiB, in two frames", largeStream).of(large)
	m.add("zstd_cut_in_magic", "truncated", "the input ends within the first magic number", stream[:3])
	m.add("zstd_cut_in_frame_header", "truncated", "the input ends within the first header", stream[:6])
	m.add("zstd_cut_in_block_header", "truncated", "the input ends within the header of a block", frame[:8])
	m.add("zstd_cut_in_block", "truncated", "the input ends within a block", frame[:20])
	m.add("zstd_cut_in_checksum", "truncated", "the last byte of a frame is missing, and all after it",
		frame[:len(frame)-1])
	m.add("zstd_cut_after_first", "truncated", "the second frame is missing, and all after it",
		splitFrames(m.t, largeStream)[0])
	m.add("zstd_cut_in_trailer_magic", "truncated", "the input ends within the trailer's magic number",
		stream[:len(frame)+2]).of(tiny)
	m.add("zstd_cut_before_trailer", "truncated", "the input ends within the header of the trailer's frame",
		stream[:len(frame)+7]).of(tiny)
	m.add("zstd_cut_in_trailer", "truncated", "the last byte of the trailer is missing",
		stream[:len(stream)-1]).of(tiny)
	m.add("zstd_trailing_byte", "trailing-data", "one byte follows the trailer", stream, []byte{0}).of(tiny)
	m.add("zstd_trailing_frame", "trailing-data", "an empty frame follows the trailer", stream,
		zstdFrames(m.t, nil, 1)).of(tiny)
	m.add("zstd_trailing_skippable", "trailing-data", "an empty skippable frame follows the trailer", stream,
		[]byte("\x50\x2a\x4d\x18\x00\x00\x00\x00")).of(tiny)
	m.add("zstd_two_streams", "trailing-data", "two streams, one after the other", stream, stream).of(tiny)
	m.add("zstd_version_2", "version", "version 2", frame, []byte(trailerFrameHeader),
		line("\nsqlite-checkpoint/2 x")).of(tiny)
	m.add("zstd_raw_trailer", "trailing-data", "the trailer is not in a frame", frame, stream[len(frame)+8:]).of(tiny)
	m.add("zstd_trailer_magic", "trailing-data", "the trailer is in a skippable frame of another magic number",
		edited(stream, len(frame), 0x50)).of(tiny)
	m.add("zstd_trailer_size", "trailing-data", "the trailer's frame has 257 bytes",
		edited(stream, len(frame)+4, 1), []byte("\n")).of(tiny)
	m.add("zstd_trailer_compressed", "trailing-data", "the trailer is in a compressed frame",
		frame, zstdFrames(m.t, stream[len(frame)+8:], TrailerSize)).of(tiny)
	m.add("zstd_trailer_of_another", "mismatch", "the trailer belongs to another image",
		splitFrames(m.t, smallStream)[0], stream[len(frame):]).of(small)
	m.add("zstd_raw_image", "trailing-data", "a raw image, and the trailer in a frame", tiny,
		stream[len(frame):]).of(tiny)
}

func (m *vectorMaker) frameOrder() {
	image := largeImage(m.t, 2*PieceSize+65536, func(page []byte, n int) {
		binary.BigEndian.PutUint32(page,
			uint32(n))
	})
	stream, _ := encode(m.t, image, WriterOptions{Format: Zstd})
	f := splitFrames(m.t, stream)
	skippable := []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00what")
	m.add("frames_good", "success", "three frames", stream).of(image)
	m.add("frames_first_missing", "format", "the first frame is missing", f[1], f[2], f[3])
	m.add("frames_second_missing", "corrupt", "the second frame is missing", f[0], f[2], f[3])
	m.add("frames_last_missing", "corrupt", "the last frame is missing", f[0], f[1], f[3])
	m.add("frames_swapped", "corrupt", "the second and the last frame have changed places", f[0], f[2], f[1], f[3])
	m.add("frames_twice", "corrupt", "the second frame is there twice", f[0], f[1], f[1], f[2], f[3])
	m.add("frames_repeated", "mismatch", "the second frame is the first again", f[0], f[0], f[2], f[3])
	m.add("frames_half_sized", "corrupt", "frames of half the size", zstdFrames(m.t, image, PieceSize/2), f[3])
	m.add("frames_second_half_sized", "corrupt", "the second frame is cut into two", f[0],
		zstdFrames(m.t, image[PieceSize:2*PieceSize], PieceSize/2), f[2], f[3])
	m.add("frames_too_large", "plain-zstd", "all in one frame", zstdFrames(m.t, image, len(image)), f[3])
	m.add("frames_one_too_many", "trailing-data", "a frame of zeros follows the last", f[0], f[1], f[2],
		zstdFrames(m.t, make([]byte, 512), 512), f[3]).of(image)
	m.add("frames_empty_between", "corrupt", "an empty frame between two others", f[0], zstdFrames(m.t, nil, 1), f[1],
		f[2], f[3])
	m.add("frames_skippable_first", "format", "a skippable frame before the first", skippable, stream)
	m.add("frames_skippable_between", "corrupt", "a skippable frame between two others", f[0], skippable, f[1], f[2],
		f[3])
	m.add("frames_skippable_before_trailer", "trailing-data", "a skippable frame before the trailer", f[0], f[1], f[2],
		skippable, f[3]).of(image)
	m.add("frames_trailer_first", "format", "the trailer before the first frame", f[3], stream)
	m.add("frames_trailer_between", "corrupt", "the trailer between two frames, and at the end", f[0], f[3], f[1], f[2],
		f[3])
	m.add("frames_junk_between", "corrupt", "a byte between two frames", f[0], []byte{0}, f[1], f[2], f[3])
}

// frameShapes are frames made by hand of a tiny image in one uncompressed block.
func (m *vectorMaker) frameShapes() {
	image := tinyImage(m.t)
	stream, _ := encode(m.t, image, WriterOptions{Format: Zstd})
	compressed := splitFrames(m.t, stream)[0]
	tail, checksum := stream[len(compressed):], compressed[len(compressed)-contentCheck:]
	blocks := func(kind, size int, data []byte) []byte {
		header := binary.LittleEndian.AppendUint32(nil, uint32(1|kind<<1|size<<3))
		return append(header[:blockHeader], data...)
	}
	body := blocks(0, 512, image)
	add := func(name, expect, comment, header string, body []byte) *vector {
		return m.add("frame_"+name, expect, comment, []byte(zstdMagic+header), body, checksum, tail)
	}
	add("uncompressed", "success", "a block that is not compressed", "\x64\x00\x01", body).of(image)
	add("two_blocks", "success", "two blocks, the first of no bytes", "\x64\x00\x01",
		append([]byte{0, 0, 0}, body...)).of(image)
	add("size_of_4_bytes", "success", "a content size of 4 bytes", "\xa4\x00\x02\x00\x00", body).of(image)
	add("size_of_8_bytes", "success", "a content size of 8 bytes", "\xe4\x00\x02\x00\x00\x00\x00\x00\x00",
		body).of(image)
	add("size_less", "corrupt", "a content size of 511", "\x64\xff\x00", body)
	add("size_more", "corrupt", "a content size of 513", "\x64\x01\x01", body)
	add("size_0", "corrupt", "a content size of 0", "\x24\x00", body)
	add("size_2_63", "plain-zstd", "a content size of 2^63", "\xe4\x00\x00\x00\x00\x00\x00\x00\x80", body)
	add("size_over", "plain-zstd", "a content size of 1 MiB and 1 byte", "\xa4\x01\x00\x10\x00", body)
	add("no_size", "plain-zstd", "no content size, but a window", "\x04\x38", body)
	add("window", "plain-zstd", "a content size and a window", "\x44\x38\x00\x01", body)
	add("window_huge", "plain-zstd", "a window of 3.75 TiB", "\x44\xff\x00\x01", body)
	add("dictionary", "plain-zstd", "a dictionary is named", "\x65\x07\x00\x01", body)
	add("reserved_bit", "plain-zstd", "the reserved bit is set", "\x6c\x00\x01", body)
	add("unused_bit", "plain-zstd", "the unused bit is set", "\x74\x00\x01", body)
	m.add("frame_no_checksum", "plain-zstd", "no checksum", []byte(zstdMagic+"\x60\x00\x01"), body, tail)
	m.add("frame_checksum_wrong", "corrupt", "a wrong checksum", []byte(zstdMagic+"\x64\x00\x01"), body,
		edited(checksum, 0, checksum[0]^1), tail)
	m.add("frame_damaged", "corrupt", "one bit of the content is wrong", []byte(zstdMagic+"\x64\x00\x01"),
		edited(body, 303, 1), checksum, tail)
	add("block_reserved", "corrupt", "a block of the reserved type", "\x64\x00\x01", blocks(3, 512, image))
	add("block_too_large", "corrupt", "a block of 131073 bytes", "\x64\x00\x01", blocks(0, 131073, image))
	add("block_repeats", "corrupt", "a block that repeats one byte 131072 times", "\x64\x00\x01",
		blocks(1, 131072, []byte{0}))
	large := twoFrames(m.t)
	f := splitFrames(m.t, must2(encode(m.t, large, WriterOptions{Format: Zstd})))
	m.add("frame_second_no_checksum", "corrupt", "the second frame has no checksum", f[0],
		edited(f[1][:len(f[1])-contentCheck], 4, f[1][4]&^hasChecksum), f[2])
	m.add("frame_second_damaged", "corrupt", "the second frame has a wrong checksum", f[0],
		edited(f[1], len(f[1])-1, f[1][len(f[1])-1]^1), f[2])
}

func (m *vectorMaker) plainZstd() {
	small, large := smallImage(m.t), twoFrames(m.t)
	stream, _ := encode(m.t, small, WriterOptions{})
	largeStream, _ := encode(m.t, large, WriterOptions{})
	m.add("plain_stream", "plain-zstd", "a small raw stream, compressed as a file",
		zstdFrames(m.t, stream, len(stream)))
	m.add("plain_image", "no-trailer", "a small bare image, compressed as a file: a bare image of ours",
		zstdFrames(m.t, small, len(small))).of(small)
	m.add("plain_stream_large", "plain-zstd", "a raw stream of more than 1 MiB, compressed as a file",
		zstdFrames(m.t, largeStream, len(largeStream)))
	m.add("plain_image_large", "plain-zstd", "a bare image of more than 1 MiB, compressed as a file",
		zstdFrames(m.t, large, len(large)))
	m.add("plain_stream_piped", "plain-zstd", "a raw stream, compressed through a pipe", streamed(m.t, stream))
	m.add("plain_text", "format", "text, compressed as a file", zstdFrames(m.t, []byte("CREATE TABLE t(x);\n"), 100))
	m.add("plain_text_piped", "format", "text, compressed through a pipe",
		streamed(m.t, []byte("CREATE TABLE t(x);\n")))
	m.add("plain_nothing", "format", "nothing, compressed", zstdFrames(m.t, nil, 1))
}

// streamed compresses data like a program that does not know its length beforehand.
func streamed(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
