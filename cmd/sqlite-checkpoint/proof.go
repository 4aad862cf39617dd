package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// proofFlags say what the input is compared with besides its trailer, or instead of one.
type proofFlags struct {
	SHA256   string `name:"sha256" placeholder:"HEX" help:"The SHA-256 that the image must have."`
	Sidecar  string `placeholder:"FILE" help:"File with SRC's SHA-256, as sha256sum writes it (default: SRC.sha256)."`
	Unproven bool   `help:"Accept a bare image without a digest: only its length, header and --check are checked."`
}

// options reads the sidecar, unless another proof was given.
func (p proofFlags) options(source string) (stream.ReaderOptions, error) {
	opts := stream.ReaderOptions{Unproven: p.Unproven}
	if p.SHA256 != "" {
		digest, err := stream.ParseDigest(strings.ToLower(p.SHA256))
		if err != nil {
			return opts, usagef("--sha256 %s: it must be 64 hexadecimal digits", p.SHA256)
		}
		opts.ImageSHA256 = &digest
	}
	sidecar, names := p.Sidecar, []string{""} // a sidecar given by name may be of a file that was renamed
	if sidecar == "" && p.SHA256 == "" && !p.Unproven && source != "-" {
		if _, err := os.Stat(source + ".sha256"); err == nil {
			sidecar, names = source+".sha256", []string{filepath.Base(source), "-"}
		}
		if err := checkRegular(sidecar); err != nil {
			return opts, err
		}
	}
	if sidecar == "" {
		return opts, nil
	}
	digest, err := readSidecar(sidecar, names...)
	opts.StreamSHA256 = &digest
	return opts, err
}

// checkRegular fails if a file that the user has not named is not a regular one: a FIFO may never
// end.
func checkRegular(name string) error {
	info, err := os.Stat(name)
	if err != nil || info.Mode().IsRegular() {
		return nil
	}
	return &fault{
		kind: engine.KindUnreadable, err: fmt.Errorf("read %s: it is not a regular file", name),
		hint: findCreator,
	}
}

// maxSidecar limits how much of a sidecar is read, which should be one line.
const maxSidecar = 64 << 10

// readSidecar reads the digest in a sidecar that is for one of these names.
func readSidecar(name string, subjects ...string) (digest stream.Digest, err error) {
	file, err := os.Open(name)
	if err != nil {
		return stream.Digest{}, inputFault(name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSidecar))
	if err != nil {
		return stream.Digest{}, inputFault(name, err)
	}
	for _, subject := range subjects {
		var other error
		if digest, other = stream.ParseSidecar(data, subject); other == nil {
			return digest, nil
		}
		if err == nil {
			err = other
		}
	}
	return digest, fmt.Errorf("read sidecar %s: %w", name, err)
}
