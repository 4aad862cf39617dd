package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors and the examples in FORMAT.md again")

const vectorDir = "testdata/vectors"

// A vector is a stream, what a Reader is given besides it, and what it must say.
type vector struct {
	name, expect, comment string
	payload               string // SHA-256 of the image; of a stream that is refused it is a hint only
	opts                  ReaderOptions
	stream                []byte
}

// expectations are the words for what a Reader says.
var expectations = map[string]error{
	"success": nil, "empty": ErrEmpty, "format": ErrFormat, "plain-zstd": ErrPlainZstd, "truncated": ErrTruncated,
	"corrupt": ErrCorrupt, "mismatch": ErrMismatch, "trailing-data": ErrTrailingData, "no-trailer": ErrNoTrailer,
	"version": ErrVersion,
}

// marshal returns the vector's file.
func (v vector) marshal() []byte {
	var out bytes.Buffer
	header := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&out, "%s: %s\n", key, value)
		}
	}
	header("expect", v.expect)
	header("payload-sha256", v.payload)
	if v.opts.ImageSHA256 != nil {
		header("given-image-sha256", v.opts.ImageSHA256.String())
	}
	if v.opts.StreamSHA256 != nil {
		header("given-stream-sha256", v.opts.StreamSHA256.String())
	}
	if v.opts.Unproven {
		header("unproven", "true")
	}
	header("comment", v.comment)
	out.WriteByte('\n')
	out.Write(v.stream)
	return out.Bytes()
}

func parseVector(t testing.TB, path string) vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	header, stream, _ := bytes.Cut(data, []byte("\n\n"))
	v := vector{name: filepath.Base(path), stream: stream}
	for line := range strings.Lines(string(header)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "expect":
			v.expect = value
		case "payload-sha256":
			v.payload = value
		case "given-image-sha256":
			v.opts.ImageSHA256 = new(must(ParseDigest(value)))
		case "given-stream-sha256":
			v.opts.StreamSHA256 = new(must(ParseDigest(value)))
		case "unproven":
			v.opts.Unproven = value == "true"
		case "comment":
			v.comment = value
		default:
			t.Fatalf("%s: what is %q?", path, line)
		}
	}
	return v
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	paths, err := filepath.Glob(vectorDir + "/*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d vectors, %v", len(paths), err)
	}
	var all []vector
	for _, path := range paths {
		if filepath.Ext(path) == "" { // what has one is about vectors, and none
			all = append(all, parseVector(t, path))
		}
	}
	return all
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	for _, v := range loadVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			want, known := expectations[v.expect]
			if !known || v.comment == "" {
				t.Fatalf("expects %q, comment %q", v.expect, v.comment)
			}
			image, _, err := decode(bytes.NewReader(v.stream), v.opts)
			if !errors.Is(err, want) {
				t.Errorf("%v, want %s", err, v.expect)
			}
			if digest := Digest(sha256.Sum256(image)); v.expect == "success" && digest.String() != v.payload {
				t.Errorf("payload has SHA-256 %s, want %s", digest, v.payload)
			}
		})
	}
}

// TestVectorsAreThere: every vector that the generator makes has its file.
func TestVectorsAreThere(t *testing.T) {
	have := map[string]vector{}
	for _, v := range loadVectors(t) {
		have[v.name] = v
	}
	for _, v := range makeVectors(t) {
		if got, ok := have[v.name]; !ok || got.expect != v.expect || got.comment != v.comment {
			t.Errorf("%s is missing or another: run go test -run TestVectors -update", v.name)
		}
	}
	if len(have) < 40 {
		t.Errorf("%d vectors are few", len(have))
	}
}

func writeVectors(t *testing.T) {
	if err := os.MkdirAll(vectorDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, v := range makeVectors(t) {
		if err := os.WriteFile(filepath.Join(vectorDir, v.name), v.marshal(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A vectorMaker collects vectors.
type vectorMaker struct {
	t   testing.TB
	all []vector
}

func (m *vectorMaker) add(name, expect, comment string, parts ...[]byte) *vector {
	m.all = append(m.all, vector{name: name, expect: expect, comment: comment, stream: bytes.Join(parts, nil)})
	return &m.all[len(m.all)-1]
}

// of sets the digest of the expected image.
func (v *vector) of(image []byte) *vector {
	v.payload = Digest(sha256.Sum256(image)).String()
	return v
}

func (v *vector) with(opts ReaderOptions) *vector {
	v.opts = opts
	return v
}

// edited returns data with some of its bytes replaced.
func edited(data []byte, at int, with ...byte) []byte {
	data = bytes.Clone(data)
	copy(data[at:], with)
	return data
}

func makeVectors(t testing.TB) []vector {
	m := &vectorMaker{t: t}
	m.rawStreams()
	m.trailers()
	m.bareImages()
	m.compressedStreams()
	m.frameOrder()
	m.frameShapes()
	m.plainZstd()
	return m.all
}

func (m *vectorMaker) rawStreams() {
	tiny, small := tinyImage(m.t), smallImage(m.t)
	stream, _ := encode(m.t, tiny, WriterOptions{Check: "quick"})
	smallStream, _ := encode(m.t, small, WriterOptions{Check: "full"})
	tail := stream[len(tiny):]
	m.add("raw_tiny", "success", "the smallest database there is", stream).of(tiny)
	m.add("raw_pages", "success", "a database of four pages", smallStream).of(small)
	inside := testImage(m.t, 512, 3, func(page []byte, _ int) { copy(page, tail) })
	insideStream, _ := encode(m.t, inside, WriterOptions{})
	m.add("raw_trailer_in_image", "success", "a page of the image holds a valid trailer, which is data",
		insideStream).of(inside)
	m.add("raw_empty", "empty", "no byte at all")
	m.add("raw_text", "format", "a text file", []byte("CREATE TABLE t(x);\n"))
	m.add("raw_trailer_only", "format", "a trailer without an image", tail)
	m.add("raw_bad_magic", "format", "one byte of the database's magic is wrong", edited(stream, 15, ' '))
	m.add("raw_page_size_0", "corrupt", "page size 0", edited(stream, 16, 0, 0))
	m.add("raw_page_size_256", "corrupt", "page size 256, which is too small", edited(stream, 16, 1, 0))
	m.add("raw_page_size_1536", "corrupt", "page size 1536, which is no power of two", edited(stream, 16, 6, 0))
	m.add("raw_page_count_0", "corrupt", "page count 0", edited(stream, 28, 0, 0, 0, 0))
	m.add("raw_page_count_max", "corrupt", "page count 2^32-1, which is one too many", edited(stream, 28, 0xff, 0xff,
		0xff, 0xff))
	m.add("raw_page_count_more", "truncated", "page count one more than there are pages", edited(smallStream, 28, 0, 0,
		0, 5))
	m.add("raw_page_count_less", "trailing-data", "page count one less than there are pages", edited(smallStream, 28, 0,
		0, 0, 3))
	m.add("raw_largest", "truncated", "an image of 2^48-131072 bytes is declared", edited(edited(stream, 16, 0, 1), 28,
		0xff, 0xff, 0xff, 0xfe))
	m.add("raw_cut_in_header", "truncated", "the input ends within the database header", stream[:31])
	m.add("raw_cut_in_image", "truncated", "the last byte of the image is missing, and all after it", stream[:511])
	m.add("raw_cut_after_page", "truncated", "the last page is missing, and all after it", smallStream[:3*512])
	m.add("raw_byte_dropped", "trailing-data",
		"a byte of the image is missing, so that the trailer is not where it should be",
		small[:700], small[701:], smallStream[len(small):], []byte(" "))
	m.add("raw_cut_in_trailer", "truncated", "the last byte of the trailer is missing", stream[:len(stream)-1]).of(tiny)
	m.add("raw_cut_after_newline", "truncated", "only the first byte of the trailer is there", stream[:513]).of(tiny)
	m.add("raw_trailing_byte", "trailing-data", "one byte follows the trailer", stream, []byte{0}).of(tiny)
	m.add("raw_trailing_newline", "trailing-data", "a newline follows the trailer", stream, []byte("\n")).of(tiny)
	m.add("raw_two_streams", "trailing-data", "two streams, one after the other", stream, stream).of(tiny)
	m.add("raw_two_trailers", "trailing-data", "the trailer is there twice", stream, tail).of(tiny)
	m.add("raw_two_images", "trailing-data", "the image is there twice, then the trailer", tiny, stream).of(tiny)
	m.add("raw_junk", "trailing-data", "30 bytes where the trailer should be", tiny,
		bytes.Repeat([]byte{0}, 30)).of(tiny)
	m.add("raw_damaged", "mismatch", "one bit of the image is wrong", edited(stream, 300, 1)).of(edited(tiny, 300, 1))
	m.add("raw_pages_swapped", "mismatch", "two pages have changed places",
		small[:1024], small[1536:2048], small[1024:1536], smallStream[2048:])
	m.add("raw_trailer_of_another", "mismatch", "the trailer belongs to another image of the same size",
		small, must2(encode(m.t, inside, WriterOptions{}))[1536:]).of(small)
}

func must2(stream []byte, _ Summary) []byte { return stream }

func (m *vectorMaker) trailers() {
	image := tinyImage(m.t)
	const before = "\nsqlite-checkpoint/1 sha256="
	digest := Digest(sha256.Sum256(image)).String()
	good := before + digest + " size=512 check=quick"
	add := func(name, expect, comment, text string) *vector {
		return m.add("trailer_"+name, expect, comment, image, line(text)).of(image)
	}
	for _, check := range []string{"none", "structural", "full"} {
		add("check_"+check, "success", "check="+check, before+digest+" size=512 check="+check)
	}
	add("field", "success", "an unknown field", good+" tables=17")
	add("fields", "success", "unknown fields that fill the line to its end", good+" a_1=!~ b="+strings.Repeat("=", 118))
	add("check_unknown", "corrupt", "check=careful", before+digest+" size=512 check=careful")
	add("order", "corrupt", "size before sha256", "\nsqlite-checkpoint/1 size=512 sha256="+digest+" check=quick")
	add("two_spaces", "corrupt", "two spaces between fields", before+digest+"  size=512 check=quick")
	add("tab", "corrupt", "a tab between fields", before+digest+"\tsize=512 check=quick")
	add("size_twice", "corrupt", "size twice, once as a further field", good+" size=512")
	add("field_twice", "corrupt", "a further field twice", good+" x=1 x=2")
	add("field_line", "corrupt", "a further field called line", good+" line=1")
	add("key_capital", "corrupt", "a capital in a key", good+" X=1")
	add("no_value", "corrupt", "a field without a value", good+" x=")
	add("not_ascii", "corrupt", "a byte above 126 in a value", good+" x=\x7f")
	add("digest_missing", "corrupt", "no sha256", "\nsqlite-checkpoint/1 size=512 check=quick")
	add("digest_capitals", "corrupt", "sha256 in capitals", before+strings.ToUpper(digest)+" size=512 check=quick")
	add("digest_short", "corrupt", "sha256 of 63 digits", before+digest[1:]+" size=512 check=quick")
	add("digest_wrong", "mismatch", "sha256 of nothing", before+emptySHA256+" size=512 check=quick")
	add("size_zero_first", "corrupt", "size=0512", before+digest+" size=0512 check=quick")
	add("size_2_63", "corrupt", "size=2^63", before+digest+" size=9223372036854775808 check=quick")
	add("size_negative", "corrupt", "size=-512", before+digest+" size=-512 check=quick")
	add("size_0", "mismatch", "size=0", before+digest+" size=0 check=quick")
	add("size_wrong", "mismatch", "size=1024", before+digest+" size=1024 check=quick")
	add("version_2", "version", "version 2", "\nsqlite-checkpoint/2 size=512")
	add("version_0", "corrupt", "version 0", "\nsqlite-checkpoint/0 sha256="+digest+" size=512 check=quick")
	add("version_01", "corrupt", "version 01", "\nsqlite-checkpoint/01 sha256="+digest+" size=512 check=quick")
	trailer := line(good)
	at := bytes.LastIndex(trailer, []byte(lineKey))
	raw := func(name, expect, comment string, trailer []byte) {
		m.add("trailer_"+name, expect, comment, image, trailer).of(image)
	}
	raw("line_wrong", "corrupt", "line= is of another line", edited(trailer, at+6, '0', '0'))
	raw("line_capitals", "corrupt", "line= in capitals", upperChecksum(trailer))
	raw("line_missing", "corrupt", "no line=", edited(trailer, at, []byte(strings.Repeat(" ", 14))...))
	raw("after_line", "corrupt", "a field after line=", edited(trailer, at+15, []byte("x=1")...))
	raw("padding_zeros", "corrupt", "zero bytes for padding", append(bytes.ReplaceAll(trailer[:at+14:at+14], nil, nil),
		append(make([]byte, 255-at-14), '\n')...))
	raw("no_newline", "corrupt", "a space for the last newline", edited(trailer, 255, ' '))
	raw("crlf", "trailing-data", "the first newline is CR LF", append([]byte("\r"), trailer[:255]...))
	raw("damaged", "corrupt", "one bit of the size is wrong", edited(trailer, bytes.Index(trailer, []byte("512")), '7'))
}

func (m *vectorMaker) bareImages() {
	for _, format := range formats {
		image := smallImage(m.t)
		bare, sum := encode(m.t, image, WriterOptions{Format: format, NoTrailer: true})
		whole, wholeSum := encode(m.t, image, WriterOptions{Format: format})
		var wrong Digest
		add := func(name, expect, comment string, stream []byte, opts ReaderOptions) {
			m.add(string(format)+"_"+name, expect, comment, stream).of(image).with(opts)
		}
		add("bare", "no-trailer", "no trailer", bare, ReaderOptions{})
		add("bare_image_digest", "success", "no trailer, but the digest of the image", bare,
			ReaderOptions{ImageSHA256: &sum.ImageSHA256})
		add("bare_stream_digest", "success", "no trailer, but the digest of the stream", bare,
			ReaderOptions{StreamSHA256: &sum.StreamSHA256})
		add("bare_unproven", "success", "no trailer, and none wanted", bare, ReaderOptions{Unproven: true})
		add("bare_wrong_digest", "mismatch", "no trailer, and the digest of another image", bare,
			ReaderOptions{ImageSHA256: &wrong, Unproven: true})
		add("bare_trailing_byte", "trailing-data", "no trailer, none wanted, but one byte more",
			append(bytes.Clone(bare), 0), ReaderOptions{Unproven: true})
		add("right_digests", "success", "a trailer and both digests", whole,
			ReaderOptions{ImageSHA256: &wholeSum.ImageSHA256, StreamSHA256: &wholeSum.StreamSHA256})
		add("wrong_image_digest", "mismatch", "a good trailer, but the digest of another image", whole,
			ReaderOptions{ImageSHA256: &wrong})
		add("wrong_stream_digest", "mismatch", "a good trailer, but the digest of another stream", whole,
			ReaderOptions{StreamSHA256: &wrong})
		m.add(string(format)+"_bare_cut", "truncated", "no trailer, none wanted, and one byte less",
			bare[:len(bare)-1]).with(ReaderOptions{Unproven: true})
	}
}
