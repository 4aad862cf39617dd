package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
)

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// line returns a trailer with this text before its checksum.
func line(text string) []byte {
	text = fmt.Sprintf("%s line=%08x", text, crc32.ChecksumIEEE([]byte(text)))
	return append([]byte(text+strings.Repeat(" ", max(0, TrailerSize-1-len(text)))), '\n')
}

func TestTrailerGolden(t *testing.T) {
	const want = "\nsqlite-checkpoint/1 sha256=" + emptySHA256 +
		" size=281474976579584 check=structural line=9b05a056" +
		"                                                                                                            " +
		"   \n"
	tr := trailer{sha256: sha256.Sum256(nil), size: 0xfffffffe * 65536, check: "structural"}
	if got := string(tr.format()); got != want {
		t.Errorf("trailer is\n%q, want\n%q", got, want)
	}
	if got, err := parseTrailer([]byte(want)); got != tr || err != nil {
		t.Errorf("parsed to %+v, %v", got, err)
	}
}

// upperChecksum writes the checksum of a trailer in capitals.
func upperChecksum(data []byte) []byte {
	at := bytes.LastIndex(data, []byte(lineKey)) + len(lineKey)
	return append(data[:at:at], bytes.ToUpper(data[at:])...)
}

func TestTrailerGrammar(t *testing.T) {
	const good = "\nsqlite-checkpoint/1 sha256=" + emptySHA256 + " size=512 check=quick"
	replace := func(old, new string) []byte { return line(strings.Replace(good, old, new, 1)) }
	patch := func(at int, with string) []byte {
		data := line(good)
		return append(append(data[:at:at], with...), data[at+len(with):]...)
	}
	for _, test := range []struct {
		name string
		data []byte
		want error
	}{
		{"good", line(good), nil},
		{"later field", line(good + " x_9=!~"), nil},
		{"later fields up to the end", line(good + " x=" + strings.Repeat("y", 125)), nil},
		{"value with an equals sign", line(good + " x=y=z"), nil},
		{"later field called like a checksum", line(good + " lines=line=00000000"), nil},
		{"too short", line(good)[:255], ErrCorrupt},
		{"too long", append(line(good), '\n'), ErrCorrupt},
		{"one byte too long a line", line(good + " x=" + strings.Repeat("y", 126)), ErrCorrupt},
		{"empty", nil, ErrCorrupt},
		{"spaces", []byte(strings.Repeat(" ", TrailerSize)), ErrCorrupt},
		{"no newline at the start", patch(0, " "), ErrCorrupt},
		{"no newline at the end", patch(255, " "), ErrCorrupt},
		{"tab in the padding", patch(200, "\t"), ErrCorrupt},
		{"newline in the padding", patch(200, "\n"), ErrCorrupt},
		{"field behind the checksum", patch(200, "x=y"), ErrCorrupt},
		{"wrong checksum", patch(130, "0"), ErrCorrupt},
		{"upper-case checksum", upperChecksum(line(good)), ErrCorrupt},
		{"no checksum", []byte(good + strings.Repeat(" ", TrailerSize-1-len(good)) + "\n"), ErrCorrupt},
		{"name only", line("\nsqlite-checkpoint/1"), ErrCorrupt},
		{"other name", replace("checkpoint", "checkpaint"), ErrCorrupt},
		{"version 2", replace("/1", "/2"), ErrVersion},
		{"version 2 of another grammar", line("\nsqlite-checkpoint/2 What? {}"), ErrVersion},
		{"version 10", replace("/1", "/10"), ErrVersion},
		{"version 0", replace("/1", "/0"), ErrCorrupt},
		{"version 01", replace("/1", "/01"), ErrCorrupt},
		{"no version", replace("/1", "/"), ErrCorrupt},
		{"version with a sign", replace("/1", "/+1"), ErrCorrupt},
		{"two spaces", replace(" size", "  size"), ErrCorrupt},
		{"two spaces before the checksum", line(good + " "), ErrCorrupt},
		{"tab", replace(" size", "\tsize"), ErrCorrupt},
		{"other order", line("\nsqlite-checkpoint/1 size=512 sha256=" + emptySHA256 + " check=quick"), ErrCorrupt},
		{"no digest", replace(" sha256="+emptySHA256, ""), ErrCorrupt},
		{"no size", replace(" size=512", ""), ErrCorrupt},
		{"no check", replace(" check=quick", ""), ErrCorrupt},
		{"size twice", line(good + " size=512"), ErrCorrupt},
		{"check twice", line(good + " check=quick"), ErrCorrupt},
		{"line twice", line(good + " line=00000000"), ErrCorrupt},
		{"later field twice", line(good + " x=1 x=1"), ErrCorrupt},
		{"short digest", replace("e3b0", "e3b"), ErrCorrupt},
		{"upper-case digest", replace("e3b0", "E3B0"), ErrCorrupt},
		{"size with a zero", replace("512", "0512"), ErrCorrupt},
		{"size with a sign", replace("512", "+512"), ErrCorrupt},
		{"negative size", replace("512", "-512"), ErrCorrupt},
		{"hexadecimal size", replace("512", "0x200"), ErrCorrupt},
		{"no digits", replace("512", ""), ErrCorrupt},
		{"size of 2^63", replace("512", "9223372036854775808"), ErrCorrupt},
		{"unknown check", replace("quick", "quicker"), ErrCorrupt},
		{"no check value", replace("quick", ""), ErrCorrupt},
		{"no equals sign", line(good + " x"), ErrCorrupt},
		{"no key", line(good + " =x"), ErrCorrupt},
		{"no value", line(good + " x="), ErrCorrupt},
		{"upper-case key", line(good + " X=1"), ErrCorrupt},
		{"control character", line(good + " x=\x01"), ErrCorrupt},
		{"byte above ASCII", line(good + " x=\xff"), ErrCorrupt},
		{"newline in a value", line(good + " x=1\ny"), ErrCorrupt},
	} {
		if _, err := parseTrailer(test.data); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}
