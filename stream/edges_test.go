//go:build unix

package stream

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestSinkStates: what can still be done with a sink once it is committed, or closed.
func TestSinkStates(t *testing.T) {
	for _, committed := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "new")
		s, err := OpenSink(t.Context(), path, SinkOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("content")); err != nil || s.Target() != NewFile {
			t.Errorf("%v, target %v", err, s.Target())
		}
		if committed {
			for range 2 {
				if err := s.Commit(); err != nil {
					t.Error(err)
				}
			}
			if _, err := s.Write([]byte("more")); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("written after Commit: %v", err)
			}
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.Write([]byte("more")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("written after Close: %v", err)
		}
		if err := s.Commit(); committed != (err == nil) {
			t.Errorf("Commit after Close: %v", err)
		}
		if got, err := os.ReadFile(path); committed != (err == nil) || committed && string(got) != "content" {
			t.Errorf("committed %v: %q, %v", committed, got, err)
		}
		if names := testkit.Names(t, filepath.Dir(path)); len(names) > 1 {
			t.Errorf("left %q", names)
		}
	}
}

// TestSinkOfStdoutCloses: standard output stays open, but not for a sink that was closed.
func TestSinkOfStdoutCloses(t *testing.T) {
	readEnd, writeEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer readEnd.Close()
	defer writeEnd.Close()
	s, err := OpenSink(t.Context(), "-", SinkOptions{Stdout: writeEnd})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Write([]byte("more")); err == nil || !strings.HasPrefix(err.Error(), "stream: sink: ") {
		t.Errorf("written after Close: %v", err)
	}
	if _, err := writeEnd.Write([]byte("ours")); err != nil {
		t.Error(err)
	}
}

// TestIsShards: a first shard or the directory of the trailer is enough, and nothing else is.
func TestIsShards(t *testing.T) {
	file := func(name string) error { return os.WriteFile(name, nil, 0o600) }
	directory := func(name string) error { return os.Mkdir(name, 0o700) }
	link := func(name string) error { return os.Symlink("/", name) }
	for _, c := range []struct {
		make func(name string) error
		name string
		want bool
	}{
		{directory, "nothing", false}, {directory, "999999999", true}, {file, "999999999", false},
		{link, "999999999", false}, {file, "000000000/00", true}, {file, "000000000/01", false},
		{link, "000000000/00", false}, {directory, "000000000/00", false},
	} {
		dir := t.TempDir()
		os.Mkdir(filepath.Join(dir, "000000000"), 0o700)
		if err := c.make(filepath.Join(dir, c.name)); err != nil {
			t.Fatal(err)
		}
		if IsShards(dir) != c.want {
			t.Errorf("%s: %v", c.name, !c.want)
		}
	}
}

// TestFrameHeaderCut: each length that is too short for a header, and each field that it may have.
func TestFrameHeaderCut(t *testing.T) {
	for _, c := range []struct {
		descriptor byte
		fields     string
		size       int
		content    int64
	}{
		{0b0000_0100, "\x38", 6, -1},
		{0b0010_0100, "\x07", 6, 7},
		{0b0110_0100, "\x01\x02", 7, 256 + 0x201},
		{0b1010_0100, "\x01\x00\x00\x01", 9, 1<<24 + 1},
		{0b1110_0100, "\x01\x00\x00\x00\x01\x00\x00\x00", 13, 1<<32 + 1},
		{0b1110_0100, "\xff\xff\xff\xff\xff\xff\xff\xff", 13, -1},
		{0b0000_0111, "\x38\x01\x02\x03\x04", 10, -1},
		{0b0100_0101, "\x38\x01\x02\x03", 9, 256 + 0x302},
	} {
		data := append([]byte(zstdMagic), c.descriptor)
		data = append(data, c.fields...)
		for n := range len(data) {
			if _, err := parseFrameHeader(data[:n]); err != io.ErrUnexpectedEOF {
				t.Errorf("%08b, %d bytes: %v", c.descriptor, n, err)
			}
		}
		for _, enough := range [][]byte{data, append(bytes.Clone(data), 0xff)} {
			h, err := parseFrameHeader(enough)
			if err != nil || h.size != c.size || h.content != c.content || h.size != len(data) {
				t.Errorf("%08b: %+v, %v", c.descriptor, h, err)
			}
		}
	}
}
