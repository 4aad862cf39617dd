package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool runs a program that every machine that runs the tests has, and returns its standard output.
func tool(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, stderr.Bytes())
	}
	return out
}

// TestStockTools: streams are what sqlite3, zstd and others expect.
func TestStockTools(t *testing.T) {
	for name, image := range map[string][]byte{"small.db": smallImage(t), "large.db": largeImage(t, 3<<20+65536,
		sparse)} {
		dir := t.TempDir()
		digest := Digest(sha256.Sum256(image)).String()
		raw, zst := filepath.Join(dir, name), filepath.Join(dir, name+".zst")
		rawStream, _ := encode(t, image, WriterOptions{Check: "full"})
		zstStream, _ := encode(t, image, WriterOptions{Format: Zstd, Check: "full"})
		for path, stream := range map[string][]byte{raw: rawStream, zst: zstStream} {
			if err := os.WriteFile(path, stream, 0o600); err != nil {
				t.Fatal(err)
			}
			if tail := string(tool(t, nil, "tail", "-c", "256", path)); !strings.Contains(tail, " sha256="+digest+" ") {
				t.Errorf("%s: tail shows %q", path, tail)
			}
		}
		if out := tool(t, nil, "sqlite3", raw, "PRAGMA integrity_check"); string(out) != "ok\n" {
			t.Errorf("%s: sqlite3 says %q", name, out)
		}
		if !bytes.Equal(tool(t, nil, "zstd", "-dc", zst), image) || !bytes.Equal(tool(t, zstStream, "zstd", "-d"),
			image) {
			t.Errorf("%s: zstd -d gives another image", name)
		}
		tool(t, nil, "zstd", "-t", zst)
		frames := len(splitFrames(t, zstStream))
		if out := string(tool(t, nil, "zstd", "-l", zst)); !strings.Contains(out, fmt.Sprintf("%6d      1", frames)) {
			t.Errorf("%s: zstd -l says\n%s", name, out)
		}
		if out := string(tool(t, nil, "file", zst)); !strings.Contains(out, "Zstandard compressed data") {
			t.Errorf("%s: file says %q", name, out)
		}
	}
}

// TestPlainZstd: streams and images that the zstd program has compressed are recognized, and valid
// once decompressed.
func TestPlainZstd(t *testing.T) {
	for name, image := range map[string][]byte{"small": smallImage(t), "large": largeImage(t, 3<<20, sparse)} {
		dir := t.TempDir()
		stream, _ := encode(t, image, WriterOptions{})
		for content, data := range map[string][]byte{"image": image, "stream": stream} {
			path := filepath.Join(dir, content)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"-3"}, {"-1", "--no-check"}, {"-19"}, {"--ultra", "-22"}, {"--long=31"}, {"--fast=5"},
				{"-3", "-T2", "-B512K"}, {"<"},
			} {
				what := fmt.Sprintf("%s %s, zstd %s", name, content, strings.Join(args, " "))
				var compressed []byte
				if args[0] == "<" {
					compressed = tool(t, data, "zstd", "-c")
				} else {
					compressed = tool(t, nil, "zstd", append(args, "-c", path)...)
				}
				testPlainZstd(t, what, compressed, data, content)
			}
		}
	}
}

func testPlainZstd(t *testing.T, what string, compressed, data []byte, content string) {
	used := allocated(func() {
		_, _, err := discard(bytes.NewReader(compressed))
		// An image of up to 1 MiB in one frame with a checksum is what our Writer makes, except for
		// the trailer.
		bare := content == "image" && len(data) <= PieceSize && errors.Is(err, ErrNoTrailer)
		if !errors.Is(err, ErrPlainZstd) && !bare {
			t.Errorf("%s: %v", what, err)
		}
		if want := "it contains a "; errors.Is(err, ErrPlainZstd) && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	})
	if used > 8<<20 {
		t.Errorf("%s: %d bytes were allocated", what, used)
	}
	if content != "stream" {
		return
	}
	if _, _, err := discard(bytes.NewReader(tool(t, compressed, "zstd", "-dc", "--long=31"))); err != nil {
		t.Errorf("%s, unpacked: %v", what, err)
	}
}
