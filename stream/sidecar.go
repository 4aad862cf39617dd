package stream

import (
	"errors"
	"fmt"
	"strings"
)

// ErrSidecar means that a sidecar is malformed or is for another file.
var ErrSidecar = errors.New("bad sidecar")

// sha256sum of the GNU coreutils escapes these in names, and then begins the line with a backslash.
var (
	escapeName   = strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r")
	unescapeName = strings.NewReplacer("\\\\", "\\", "\\n", "\n", "\\r", "\r")
)

// FormatSidecar returns the line that sha256sum --check reads: the digest of a file's bytes and its
// base name, "-" for standard output.
func FormatSidecar(d Digest, name string) string {
	escaped := escapeName.Replace(name)
	if escaped != name {
		return fmt.Sprintf("\\%s  %s\n", d, escaped)
	}
	return fmt.Sprintf("%s  %s\n", d, name)
}

// ParseSidecar is the inverse of [FormatSidecar]. It fails with [ErrSidecar] unless data is exactly
// one such line, for name, or for any name if it is empty.
func ParseSidecar(data []byte, name string) (Digest, error) {
	d, found, err := SplitSidecar(data)
	if err == nil && name != "" && found != name {
		err = fmt.Errorf("%w: it is for %q, not for %q", ErrSidecar, found, name)
	}
	if err != nil {
		return Digest{}, err
	}
	return d, nil
}

// SplitSidecar is [ParseSidecar] for any name, which it returns.
func SplitSidecar(data []byte) (d Digest, name string, err error) {
	line, ok := strings.CutSuffix(string(data), "\n")
	if !ok || strings.Contains(line, "\n") {
		return Digest{}, "", fmt.Errorf("%w: it is not one line", ErrSidecar)
	}
	line, escaped := strings.CutPrefix(line, "\\")
	digits, name, ok := strings.Cut(line, "  ")
	if !ok {
		return Digest{}, "", fmt.Errorf("%w: it is not a digest, two spaces and a name", ErrSidecar)
	}
	if d, err = ParseDigest(digits); err != nil {
		return Digest{}, "", fmt.Errorf("%w: %w", ErrSidecar, err)
	}
	if escaped {
		name = unescapeName.Replace(name)
	}
	if FormatSidecar(d, name) != string(data) {
		return Digest{}, "", fmt.Errorf("%w: the name is not written as sha256sum does", ErrSidecar)
	}
	return d, name, nil
}
