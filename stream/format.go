package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// TrailerSize is the length of the trailer in bytes. A raw stream is that much longer than its image.
const TrailerSize = 256

// PieceSize is the number of bytes of the image in each frame of a compressed stream but the last.
const PieceSize = 1 << 20

// A Format is one of the two forms of a stream.
type Format string

const (
	Raw  Format = "raw"  // the image as it is
	Zstd Format = "zstd" // the image in independent Zstandard frames
)

// A Digest is a SHA-256.
type Digest [sha256.Size]byte

// String gives the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest is the inverse of [Digest.String]. It accepts nothing but 64 lower-case hexadecimal digits.
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

// A Summary says what a stream was. Writer and Reader of the same stream have equal ones, except that a Reader may
// have been told to do without proof.
type Summary struct {
	Format       Format
	ImageSize    int64  // bytes
	ImageSHA256  Digest // of the image
	Check        string // "none", "structural", "quick" or "full"; "" when there was no trailer
	StreamSize   int64  // bytes, all of them
	StreamSHA256 Digest // of every byte of the stream; zero if the Writer was told to leave it out
	Trailer      bool   // the stream has one
	Proven       bool   // a trailer or a given digest vouches for the image
}

// What is wrong with a stream. Every error of a [Reader] is one of these, with the cause in its text, or an error of
// the source, which [errors.Is] and [errors.As] find.
var (
	// ErrFormat means that the input is not a stream, nor the beginning of one.
	ErrFormat = errors.New("not a database stream")
	// ErrEmpty means that the input has no byte at all. It is an ErrFormat, too.
	ErrEmpty = fmt.Errorf("%w: empty input", ErrFormat)
	// ErrPlainZstd means that the input was made by a plain Zstandard compressor, around a stream or around a bare
	// image: decompressed, it may well be sound.
	ErrPlainZstd = errors.New("compressed by plain zstd")
	// ErrTruncated means that the input ends too early.
	ErrTruncated = errors.New("truncated stream")
	// ErrCorrupt means that the input breaks the rules of the format.
	ErrCorrupt = errors.New("damaged stream")
	// ErrMismatch means that the image or the stream has another digest than the trailer or the caller says.
	ErrMismatch = errors.New("digest mismatch")
	// ErrTrailingData means that something follows where the stream has to end.
	ErrTrailingData = errors.New("data after the end")
	// ErrNoTrailer means that the input is a whole image, going by its length, that nothing vouches for.
	ErrNoTrailer = errors.New("no trailer")
	// ErrVersion means that the stream is of a later version of the format.
	ErrVersion = errors.New("newer format")
)

// ErrImageSize means that a [Writer] was given more or fewer bytes than it was told, or an image whose header says
// otherwise.
var ErrImageSize = errors.New("wrong image size")
