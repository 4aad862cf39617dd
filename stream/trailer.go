package stream

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	trailerName    = "sqlite-checkpoint/"
	trailerMark    = "\n" + trailerName // begins the trailer in every version
	trailerVersion = 1
	lineKey        = " line="
	lineLen        = len(lineKey) + 8
)

// A trailer is the line at the end of a stream that proves the image before it.
type trailer struct {
	sha256 Digest
	size   int64
	check  string
}

// format returns the trailer as it is written, [TrailerSize] bytes.
func (t trailer) format() []byte {
	line := fmt.Appendf(nil, "%s%d sha256=%s size=%d check=%s", trailerMark, trailerVersion, t.sha256, t.size, t.check)
	line = fmt.Appendf(line, "%s%08x", lineKey, crc32.ChecksumIEEE(line))
	line = append(line, bytes.Repeat([]byte(" "), TrailerSize-1-len(line))...)
	return append(line, '\n')
}

// parseTrailer is the inverse of format. The checksum comes first: a trailer that fails it is
// damaged, and one that passes it may still be of a newer version.
func parseTrailer(data []byte) (trailer, error) {
	line, err := checkLine(data)
	if err != nil {
		return trailer{}, err
	}
	name, rest, _ := strings.Cut(line, " ")
	if err := checkVersion(name); err != nil {
		return trailer{}, err
	}
	return parseFields(strings.Split(rest, " "))
}

// checkLine checks what is the same in every version of the trailer: newline, line, checksum,
// padding, newline. It returns the line without its checksum.
func checkLine(data []byte) (string, error) {
	if len(data) != TrailerSize || !bytes.HasPrefix(data, []byte(trailerMark)) || data[TrailerSize-1] != '\n' {
		return "", badTrailer("it is not one line of %d bytes", TrailerSize)
	}
	line := bytes.TrimRight(data[:TrailerSize-1], " ")
	if len(line) < lineLen {
		return "", badTrailer("it has no checksum")
	}
	line, sum := line[:len(line)-lineLen], line[len(line)-lineLen:]
	if string(sum) != fmt.Sprintf("%s%08x", lineKey, crc32.ChecksumIEEE(line)) {
		return "", badTrailer("its checksum is wrong")
	}
	return string(line[1:]), nil
}

func checkVersion(name string) error {
	digits := strings.TrimPrefix(name, trailerName)
	version, err := parseDecimal(digits)
	if err != nil || version == 0 {
		return badTrailer("it has no version")
	}
	if version != trailerVersion {
		return fmt.Errorf("%w: the trailer is of version %d, this reader knows version %d: a newer tool is needed",
			ErrVersion, version, trailerVersion)
	}
	return nil
}

// parseFields parses the fields after the version: the three required ones, in their order, then
// any others.
func parseFields(fields []string) (trailer, error) {
	var t trailer
	if len(fields) < 3 {
		return t, badTrailer("fields are missing")
	}
	seen := map[string]bool{"line": true}
	for i, field := range fields {
		key, value, _ := strings.Cut(field, "=")
		if !isKey(key) || !isValue(value) || seen[key] {
			return t, badTrailer("bad field %q", field)
		}
		seen[key] = true
		if err := t.set(i, key, value); err != nil {
			return t, badTrailer("bad field %q", field)
		}
	}
	return t, nil
}

// set stores the i-th field. Fields after the third belong to later versions of the format.
func (t *trailer) set(i int, key, value string) (err error) {
	required := [...]string{"sha256", "size", "check"}
	if i >= len(required) {
		return nil
	}
	if key != required[i] {
		return strconv.ErrSyntax
	}
	switch key {
	case "sha256":
		t.sha256, err = ParseDigest(value)
	case "size":
		t.size, err = parseDecimal(value)
	case "check":
		t.check, err = value, validCheck(value)
	}
	return err
}

func validCheck(check string) error {
	switch check {
	case "none", "structural", "quick", "full":
		return nil
	}
	return fmt.Errorf("stream: unknown check %q", check)
}

// parseDecimal parses a number in its one accepted form: digits only, without a sign or leading
// zeros.
func parseDecimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) != s || n < 0 {
		err = strconv.ErrSyntax
	}
	return n, err
}

func isKey(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func isValue(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

func badTrailer(format string, args ...any) error {
	return fmt.Errorf("%w: bad trailer: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
