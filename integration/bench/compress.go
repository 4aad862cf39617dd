package main

import (
	"io"
	"os"
	"strconv"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// compressCommand is the argument with which bench starts itself as a task that compresses an image
// once for each of its workers, and discards the output.
const compressCommand = "compress"

func compress(image, workers string) error {
	n, err := strconv.Atoi(workers)
	for range n {
		if err == nil {
			err = compressOnce(image, n)
		}
	}
	return err
}

func compressOnce(image string, workers int) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w, err := stream.NewWriter(io.Discard, stream.WriterOptions{Format: stream.Zstd, Size: info.Size(),
		Workers: workers})
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := io.Copy(w, f); err != nil {
		return err
	}
	return w.Close()
}
