package faults

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// streams backs up a small database in both forms.
func (s *scene) streams() (raw, compressed []byte) {
	s.Helper()
	s.tinyRollback()
	raw = s.try(trial{}).stdout
	compressed = s.try(trial{args: []string{"backup", "--zstd", s.db, "-"}}).stdout
	return raw, compressed
}

// noStream checks that an input is refused, by verify and by restore, from stdin and from a file.
func (s *scene) noStream(data []byte, cause string) {
	s.Helper()
	target := filepath.Join(s.out, "new.db")
	file := s.save(data)
	defer os.Remove(file)
	for _, tr := range []trial{
		{args: []string{"verify", "-"}, stdin: bytes.NewReader(data), says: []string{"-", cause}},
		{args: []string{"verify", file}, says: []string{file, cause}},
		{args: []string{"restore", "-", target}, stdin: bytes.NewReader(data), says: []string{"-", cause}},
		{args: []string{"restore", file, target}, says: []string{file, cause}},
	} {
		tr.codes = []int{codeStream}
		s.try(tr)
	}
}

// edited replaces something in a raw stream's trailer and corrects the checksum.
func edited(raw []byte, old, new string) []byte {
	image, trailer := raw[:len(raw)-stream.TrailerSize], string(raw[len(raw)-stream.TrailerSize:])
	line, _, _ := strings.Cut(trailer, " line=")
	line = strings.Replace(line, old, new, 1)
	line += fmt.Sprintf(" line=%08x", crc32.ChecksumIEEE([]byte(line)))
	return slices.Concat(image, fmt.Appendf(nil, "%-255s\n", line))
}

// truncations cuts a small stream at every byte and a large one at many points.
func truncations(s *scene) {
	raw, compressed := s.streams()
	for _, data := range [][]byte{raw, compressed} {
		for n := range data {
			if readStream(data[:n], stream.ReaderOptions{}) == nil {
				s.Errorf("%d of %d bytes pass", n, len(data))
			}
		}
		s.tally.add("refused", len(data))
		for i := range 12 {
			s.noStream(data[:i*len(data)/12], "")
		}
		s.noStream(data[:len(data)-1], "truncated")
	}
	s.part("large", func(s *scene) {
		s.SQLite(s.db, rowsSQL(20000))
		for _, flags := range [][]string{nil, {"--zstd"}} {
			data := s.try(trial{args: slices.Concat([]string{"backup"}, flags, []string{s.db, "-"})}).stdout
			const points = 200
			for i := range points {
				n := len(data) - 1 - i*i*len(data)/points/points // more of them towards the end
				if readStream(data[:n], stream.ReaderOptions{}) == nil {
					s.Errorf("%d of %d bytes pass", n, len(data))
				}
			}
			s.tally.add("refused", points)
		}
	})
}

// bitFlips flips a bit of every byte: the stream is refused, or the image is unchanged.
func bitFlips(s *scene) {
	raw, compressed := s.streams()
	image := raw[:len(raw)-stream.TrailerSize]
	for _, data := range [][]byte{raw, compressed} {
		same := 0
		for i := range data {
			for bit := range 8 {
				data[i] ^= 1 << bit
				got, err := readImage(data)
				data[i] ^= 1 << bit
				if err == nil && !bytes.Equal(got, image) {
					s.Errorf("bit %d of byte %d: another image passes", bit, i)
				} else if err == nil {
					same++
				}
			}
		}
		s.tally.add("refused", 8*len(data)-same)
		s.tally.add("same image", same)
		if same > len(data)/10 {
			s.Errorf("%d flips make no difference", same)
		}
		for i := 0; i < len(data); i += len(data) / 11 {
			flipped := bytes.Clone(data)
			flipped[i] ^= 0x10
			if _, err := readImage(flipped); err != nil {
				s.noStream(flipped, "")
			}
		}
	}
}

func readImage(data []byte) ([]byte, error) {
	r := stream.NewReader(bytes.NewReader(data), stream.ReaderOptions{})
	defer r.Close()
	return io.ReadAll(r)
}

// foreignFrames inserts zstd frames that do not belong there, but that every zstd decoder would
// accept.
func foreignFrames(s *scene) {
	_, compressed := s.streams()
	trailer := compressed[len(compressed)-stream.TrailerSize-8:]
	frames := compressed[:len(compressed)-len(trailer)]
	skippable := []byte("\x50\x2a\x4d\x18\x05\x00\x00\x00hello")
	empty := s.zstdFrame(nil)
	for _, data := range [][]byte{
		slices.Concat(skippable, compressed),
		slices.Concat(frames, skippable, trailer),
		slices.Concat(compressed, skippable),
		slices.Concat(empty, compressed),
		slices.Concat(frames, empty, trailer),
		slices.Concat(compressed, empty),
		slices.Concat(frames, frames, trailer),
		slices.Concat(frames, trailer, trailer),
	} {
		s.noStream(data, "")
	}
}

func (s *scene) zstdFrame(data []byte, options ...zstd.EOption) []byte {
	s.Helper()
	encoder, err := zstd.NewWriter(nil, append(options, zstd.WithZeroFrames(true))...)
	s.Check(err)
	defer encoder.Close()
	return encoder.EncodeAll(data, nil)
}

func trailers(s *scene) {
	raw, compressed := s.streams()
	s.Check(os.Remove(s.db))
	s.tinyRollback()
	other := s.try(trial{}).stdout
	s.noStream(slices.Concat(raw[:len(raw)-stream.TrailerSize], other[len(other)-stream.TrailerSize:]), "mismatch")
	s.noStream(slices.Concat(raw, raw[len(raw)-stream.TrailerSize:]), "data after the end")
	s.noStream(slices.Concat(compressed, compressed[len(compressed)-stream.TrailerSize-8:]), "data after the end")
	s.part("inside", func(s *scene) {
		line := string(raw[len(raw)-stream.TrailerSize:])
		s.SQLite(s.db, rowsSQL(10), fmt.Sprintf("INSERT INTO t(v) VALUES('%s');", line),
			fmt.Sprintf("INSERT INTO t(v) VALUES('%s');", strings.Repeat(line, 40)))
		for _, flags := range [][]string{nil, {"--zstd"}} {
			data := s.try(trial{args: slices.Concat([]string{"backup"}, flags, []string{s.db, "-"})}).stdout
			s.try(trial{args: []string{"verify", "-"}, stdin: bytes.NewReader(data)})
		}
	})
}

// wrongLengths edits the length in the trailer, and the fields of the database header that say
// where the image ends.
func wrongLengths(s *scene) {
	raw, _ := s.streams()
	size := fmt.Sprintf(" size=%d", len(raw)-stream.TrailerSize)
	for _, wrong := range []string{"0", "-1", "1", "9223372036854775808", "9223372036854775807", "18446744073709551615",
		"+" + size[6:], "0" + size[6:], size[6:] + "0", ""} {
		s.noStream(edited(raw, size, " size="+wrong), "")
	}
	for _, wrong := range [][]byte{{0, 0, 0, 0}, {0, 0, 0, 1}, {0xff, 0xff, 0xff, 0xfe}, {0xff, 0xff, 0xff, 0xff},
		{0x80, 0, 0, 0}} {
		data := bytes.Clone(raw)
		copy(data[28:], wrong)
		s.modestly(data)
	}
	for _, wrong := range [][]byte{{0, 0}, {0, 1}, {2, 1}, {0x80, 0}, {0xff, 0xff}} {
		data := bytes.Clone(raw)
		copy(data[16:], wrong)
		s.modestly(data)
	}
}

// modestly checks that data is refused without much memory or work.
func (s *scene) modestly(data []byte) {
	s.Helper()
	target := filepath.Join(s.out, "new.db")
	for _, args := range [][]string{{"verify", "-"}, {"verify", "--check", "quick", "-"}, {"restore", "-", target}} {
		s.try(trial{args: args, stdin: bytes.NewReader(data), codes: []int{codeStream, codeSpace},
			weigh: true}).modest(5*time.Second, 200)
	}
}

func bombs(s *scene) {
	raw, _ := s.streams()
	image := raw[:len(raw)-stream.TrailerSize]
	bomb := s.zstdFrame(append(bytes.Clone(image), make([]byte, 512<<20)...), zstd.WithEncoderCRC(true),
		zstd.WithEncoderConcurrency(1))
	s.modestly(bomb)
	s.modestly(slices.Concat(s.zstdFrame(image), bomb))
	// A frame that asks for a window of 3.75 TB, of 2 GB, and one that declares 2^63 bytes.
	for _, header := range []string{"\x28\xb5\x2f\xfd\x00\xff", "\x28\xb5\x2f\xfd\x00\xa8",
		"\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
		"\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff"} {
		s.modestly(slices.Concat([]byte(header), image))
		s.modestly(slices.Concat([]byte(header), s.zstdFrame(image)[6:]))
	}
}
