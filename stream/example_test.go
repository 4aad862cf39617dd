package stream_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// database is the image of an empty database, one page of 512 bytes.
func database() []byte {
	image := make([]byte, 512)
	copy(image, "SQLite format 3\x00")
	copy(image[16:], []byte{2, 0, 1, 1, 0, 64, 32, 32})
	binary.BigEndian.PutUint32(image[28:], 1)
	binary.BigEndian.PutUint32(image[44:], 4)
	binary.BigEndian.PutUint32(image[56:], 1)
	image[100], image[105] = 0x0d, 2
	return image
}

// write makes a stream of the database.
func write(opts stream.WriterOptions) []byte {
	image := database()
	opts.Size = int64(len(image))
	var out bytes.Buffer
	w, err := stream.NewWriter(&out, opts)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := w.Write(image); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	return out.Bytes()
}

func Example() {
	image := database()
	var pipe bytes.Buffer

	w, err := stream.NewWriter(&pipe, stream.WriterOptions{Size: int64(len(image)), Check: "quick"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(image)); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil { // now it has its trailer
		log.Fatal(err)
	}

	r := stream.NewReader(&pipe, stream.ReaderOptions{})
	defer r.Close()
	var copied bytes.Buffer
	if _, err := io.Copy(&copied, r); err != nil {
		log.Fatal(err) // what was copied is not to be used
	}
	fmt.Println(bytes.Equal(copied.Bytes(), image), r.Summary() == w.Summary())
	// Output: true true
}

func ExampleNewWriter() {
	image := database()
	w, err := stream.NewWriter(os.Stdout, stream.WriterOptions{
		Format: stream.Zstd,
		Size:   int64(len(image)) + 1, // wrong
	})
	if err != nil {
		log.Fatal(err)
	}
	w.Write(image)
	err = w.Close()
	fmt.Println(errors.Is(err, stream.ErrImageSize))
	// Output: true
}

// A hash that was made elsewhere, perhaps while the database was checked, saves a pass over the
// image.
func ExampleWriterOptions_hash() {
	image := database()
	hashed := sha256.New()
	hashed.Write(image)

	w, err := stream.NewWriter(io.Discard, stream.WriterOptions{
		Size: int64(len(image)),
		Hash: func() (hash.Hash, error) { return hashed, nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := w.Write(image); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.Summary().ImageSHA256 == sha256.Sum256(image))
	// Output: true
}

func ExampleWriterOptions_StreamSize() {
	fmt.Println(stream.WriterOptions{Size: 4096}.StreamSize())
	fmt.Println(stream.WriterOptions{Size: 4096, Format: stream.Zstd}.StreamSize())
	// Output:
	// 4352 true
	// 0 false
}

func ExampleNewReader() {
	whole := write(stream.WriterOptions{})
	r := stream.NewReader(bytes.NewReader(whole[:len(whole)-1]), stream.ReaderOptions{})
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	fmt.Println(n, err)
	// Output: 512 truncated stream: the trailer ends after 255 of 256 bytes
}

// A bare image needs something else to vouch for it.
func ExampleNewReader_bareImage() {
	image := database()
	digest := stream.Digest(sha256.Sum256(image))
	for _, opts := range []stream.ReaderOptions{{}, {ImageSHA256: &digest}, {Unproven: true}} {
		r := stream.NewReader(bytes.NewReader(image), opts)
		_, err := io.Copy(io.Discard, r)
		fmt.Println(r.Summary().Proven, err)
		r.Close()
	}
	// Output:
	// false no trailer: a bare database image of 512 bytes
	// true <nil>
	// false <nil>
}

func ExampleReader_ImageSize() {
	r := stream.NewReader(bytes.NewReader(write(stream.WriterOptions{Format: stream.Zstd})), stream.ReaderOptions{})
	defer r.Close()
	size, err := r.ImageSize() // in time to see whether there is room for it
	fmt.Println(size, err)
	// Output: 512 <nil>
}

func ExampleReader_Summary() {
	r := stream.NewReader(bytes.NewReader(write(stream.WriterOptions{Check: "full"})), stream.ReaderOptions{})
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		log.Fatal(err)
	}
	sum := r.Summary()
	fmt.Println(sum.Format, sum.ImageSize, sum.StreamSize, sum.Check, sum.Proven)
	// Output: raw 512 768 full true
}

func ExampleParseLevel() {
	fmt.Println(stream.ParseLevel("better"))
	fmt.Println(stream.ParseLevel("19"))
	// Output:
	// 6 <nil>
	// 19 <nil>
}

func ExampleParseDigest() {
	_, err := stream.ParseDigest("E3B0C442")
	fmt.Println(err)
	// Output: stream: a SHA-256 is 64 lower-case hexadecimal digits
}

func ExampleFormatSidecar() {
	fmt.Print(stream.FormatSidecar(sha256.Sum256(nil), "app.db"))
	// Output: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  app.db
}

func ExampleParseSidecar() {
	line := stream.FormatSidecar(sha256.Sum256(nil), "app.db")
	d, err := stream.ParseSidecar([]byte(line), "app.db")
	fmt.Println(d == sha256.Sum256(nil), err)
	_, err = stream.ParseSidecar([]byte(line), "other.db")
	fmt.Println(err)
	// Output:
	// true <nil>
	// bad sidecar: it is for "app.db", not for "other.db"
}

func ExampleProbeTarget() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	kind, err := stream.ProbeTarget(filepath.Join(dir, "new"), nil)
	fmt.Println(kind == stream.NewFile, err)
	_, err = stream.ProbeTarget(dir, nil)
	fmt.Println(errors.Is(err, fs.ErrExist))
	// Output:
	// true <nil>
	// true
}

func ExampleOpenSink() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	target := filepath.Join(dir, "app.db")

	sink, err := stream.OpenSink(context.Background(), target, stream.SinkOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer sink.Close() // without Commit, there will be no file
	if _, err := sink.Write(write(stream.WriterOptions{})); err != nil {
		log.Fatal(err)
	}
	if err := sink.Commit(); err != nil {
		log.Fatal(err)
	}
	info, err := os.Stat(target)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Size())
	// Output: 768
}
