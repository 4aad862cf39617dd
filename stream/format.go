package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// TrailerSize is the length of the trailer in bytes. A raw stream is that much longer than its
// image.
const TrailerSize = 256

// PieceSize is the number of bytes of the image in each frame of a compressed stream but the last.
const PieceSize = 1 << 20

// A Format is one of the two forms of a stream.
type Format string

const (
	Raw  Format = "raw"  // the image, unchanged
	Zstd Format = "zstd" // the image in independent Zstandard frames
)

// A Digest is a SHA-256 digest.
type Digest [sha256.Size]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest is the inverse of [Digest.String]. It fails unless s is 64 lower-case hexadecimal
// digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) || !isLowerHex(s) {
		return Digest{}, errors.New("stream: a SHA-256 is 64 lower-case hexadecimal digits")
	}
	_, err := hex.Decode(d[:], []byte(s))
	return d, err
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// A Summary describes a stream. The Writer and the Reader of a stream have equal ones, unless the
// Reader was told to accept it unproven.
type Summary struct {
	Format       Format
	ImageSize    int64  // bytes
	ImageSHA256  Digest // of the image
	Check        string // "none", "structural", "quick" or "full"; "" when there was no trailer
	StreamSize   int64  // bytes, all of them
	StreamSHA256 Digest // of every byte of the stream; zero under WriterOptions.NoStreamHash
	Trailer      bool   // the stream has one
	Proven       bool   // a trailer or a given digest matches the image
}

// What can be wrong with a stream. Every error of a [Reader] wraps one of these, with the cause in
// its text, or an error of the underlying reader.
var (
	// ErrFormat means that the input is not a stream, nor the beginning of one.
	ErrFormat = errors.New("not a database stream")
	// ErrEmpty means that the input is empty. It wraps ErrFormat.
	ErrEmpty = fmt.Errorf("%w: empty input", ErrFormat)
	// ErrPlainZstd means that the input was made by a plain Zstandard compressor, around a stream
	// or around a bare image: once decompressed, it may be valid.
	ErrPlainZstd = errors.New("compressed by plain zstd")
	// ErrTruncated means that the input ends before the stream does.
	ErrTruncated = errors.New("truncated stream")
	// ErrCorrupt means that the input breaks the rules of the format.
	ErrCorrupt = errors.New("damaged stream")
	// ErrMismatch means that the image or the stream does not have the size or the digest that the
	// trailer or the caller gives.
	ErrMismatch = errors.New("digest mismatch")
	// ErrTrailingData means that bytes follow the end of the stream.
	ErrTrailingData = errors.New("data after the end")
	// ErrNoTrailer means that the input has the length of a whole image, but no trailer or digest
	// to prove it.
	ErrNoTrailer = errors.New("no trailer")
	// ErrVersion means that the stream is of a later version of the format.
	ErrVersion = errors.New("newer format")
)

// ErrImageSize means that a [Writer] was given more or fewer bytes than announced, or an image
// whose header gives another size.
var ErrImageSize = errors.New("wrong image size")
