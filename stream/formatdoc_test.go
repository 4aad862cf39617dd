package stream

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// hexdump writes data as FORMAT.md does: 16 bytes a line, "*" for lines like the one before.
func hexdump(data []byte) string {
	var out strings.Builder
	var previous []byte
	starred := false
	for at := 0; at < len(data); at += 16 {
		row := data[at:min(at+16, len(data))]
		if bytes.Equal(row, previous) && at+16 < len(data) {
			if !starred {
				out.WriteString("*\n")
			}
			starred = true
			continue
		}
		previous, starred = row, false
		fmt.Fprintln(&out, strings.TrimRight(fmt.Sprintf("%04x  %-47s  %s", at, fmt.Sprintf("% x", row),
			printable(row)), " "))
	}
	fmt.Fprintf(&out, "%04x\n", len(data))
	return out.String()
}

func printable(row []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, string(row))
}

// undump is the inverse of hexdump.
func undump(t *testing.T, dump string) []byte {
	t.Helper()
	var data, row []byte
	for line := range strings.Lines(dump) {
		line = strings.TrimSuffix(line, "\n")
		if line == "*" {
			continue
		}
		var at int
		if _, err := fmt.Sscanf(line[:4], "%04x", &at); err != nil {
			t.Fatal(err)
		}
		for len(data) < at { // what a star stands for
			data = append(data, row...)
		}
		if len(line) == 4 {
			return data
		}
		var err error
		if row, err = hex.DecodeString(strings.ReplaceAll(line[6:min(6+47, len(line))], " ", "")); err != nil {
			t.Fatal(err)
		}
		data = append(data, row...)
	}
	t.Fatal("a dump without an end")
	return nil
}

var dumpBlock = regexp.MustCompile("(?s)```hexdump (raw|zstd)\n(.*?)```")

// TestFormatExamples reads the examples in FORMAT.md, and has the Writer make the raw one.
func TestFormatExamples(t *testing.T) {
	image := tinyImage(t)
	if *update {
		writeFormatExamples(t, image)
	}
	page, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := dumpBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples, want 2", len(blocks))
	}
	for _, block := range blocks {
		stream := undump(t, block[2])
		got, sum, err := decode(bytes.NewReader(stream), ReaderOptions{})
		if err != nil || !bytes.Equal(got, image) || string(sum.Format) != block[1] || sum.Check != "quick" {
			t.Errorf("%s: %v, %+v", block[1], err, sum)
		}
		if !strings.Contains(string(page), fmt.Sprintf("stream of %d bytes", len(stream))) {
			t.Errorf("%s: the text tells another length than %d", block[1], len(stream))
		}
	}
	if want, _ := encode(t, image, WriterOptions{Check: "quick"}); !bytes.Equal(undump(t, blocks[0][2]), want) {
		t.Error("the Writer gives another raw stream")
	}
}

func writeFormatExamples(t *testing.T, image []byte) {
	page, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	page = dumpBlock.ReplaceAllFunc(page, func(block []byte) []byte {
		format := string(dumpBlock.FindSubmatch(block)[1])
		stream, _ := encode(t, image, WriterOptions{Format: Format(format), Check: "quick"})
		return []byte("```hexdump " + format + "\n" + hexdump(stream) + "```")
	})
	if err := os.WriteFile("FORMAT.md", page, 0o644); err != nil {
		t.Fatal(err)
	}
}
