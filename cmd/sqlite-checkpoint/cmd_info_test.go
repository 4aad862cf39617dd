package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestInfoFIFO: info does not wait for a FIFO that somebody has put in the place of the database
// after it was inspected.
func TestInfoFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool, 1)
	go func() { done <- hasTrailer(fifo, 1<<20) }()
	select {
	case found := <-done:
		if found {
			t.Error("a FIFO has a trailer")
		}
	case <-time.After(5 * time.Second):
		t.Error("hasTrailer waits for a writer")
		if writer, err := os.OpenFile(fifo, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
			writer.Close()
		}
	}
}
