// Package stream reads and writes SQLite database images as self-proving byte streams.
//
// A stream is a database image, byte for byte, followed by a trailer that holds the image's length
// and SHA-256. It has two forms. [Raw] is the image and 256 bytes of ASCII: SQLite ignores what
// lies past the page count in its header, so the stream opens as a database. [Zstd] is the image in
// pieces of 1 MiB, each an independent Zstandard frame, and the same 256 bytes in a skippable
// frame: zstd -d gives the image. The file FORMAT.md beside this source specifies both; it builds
// on the SQLite database file format (https://www.sqlite.org/fileformat2.html) and on RFC 8878.
//
// To write a stream, make a [Writer], copy the image to it and close it. Only [Writer.Close] writes
// the trailer, so a stream that is abandoned earlier never passes as complete:
//
//	w, err := stream.NewWriter(dst, stream.WriterOptions{Size: size, Check: "quick"})
//	...
//	if _, err := io.Copy(w, image); err != nil { ... }
//	if err := w.Close(); err != nil { ... }
//
// To read one, in whichever form, make a [Reader] and read to [io.EOF]. The data must be treated as
// tentative until then: a Reader returns io.EOF only after it has verified the length, the digest,
// the trailer and the end of the input. Everything else ends in another error.
//
// Writer and Reader of a stream end with equal [Summary] values. A sidecar ([FormatSidecar],
// [ParseSidecar]) is a line for sha256sum that proves a whole stream from outside it, and a [Sink]
// is the place a stream goes to: standard output, a named pipe or a new file.
//
// [Shards] keep a raw stream in a directory, as files of one size: a [ShardSink] writes only those
// that have changed, and a [ShardReader] reads the stream back for a Reader to prove.
//
// Digests and trailer protect against damage and truncation, not against tampering: they involve no
// key, so whoever changes a stream on purpose can compute them again.
//
// Memory is bounded, whatever the size of the image and whatever a hostile stream declares: on many
// CPUs a compressing Writer takes about 35 MiB, a decompressing Reader about 25. Writers, Readers
// and Sinks must not be used by several goroutines at once; the context of a Sink may be canceled
// by any goroutine.
package stream
