//go:build unix

package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestStdoutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := openStdoutSink(t, t.Context(), f, soon)
	want := bytes.Repeat([]byte("stream "), 50_000)
	if _, err := s.Write(want); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.Commit(), s.Close()); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
}

// TestStdoutFileShrinks: bytes that were lost are noticed at the end.
func TestStdoutFileShrinks(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := openStdoutSink(t, t.Context(), f, 0)
	s.Write(make([]byte, 1000))
	if err := f.Truncate(999); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Commit = %v", err)
	}
}

func TestFIFOWithoutReader(t *testing.T) {
	path := mkfifo(t)
	if kind, err := ProbeTarget(path, nil); kind != FIFO || err != nil {
		t.Errorf("ProbeTarget = %v, %v", kind, err)
	}
	if _, err := OpenSink(t.Context(), path, SinkOptions{Timeout: 50 * time.Millisecond}); !errors.Is(err, ErrStalled) {
		t.Errorf("OpenSink = %v, want %v", err, ErrStalled)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(errFailed) })
	if _, err := OpenSink(ctx, path, SinkOptions{}); err != errFailed {
		t.Errorf("OpenSink = %v, want %v", err, errFailed)
	}
}

func TestFIFOWaitsForReader(t *testing.T) {
	path := mkfifo(t)
	link := path + "-link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		time.Sleep(50 * time.Millisecond)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		got <- string(data)
	}()
	s, err := OpenSink(t.Context(), link, SinkOptions{Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte("stream"))
	if err := errors.Join(s.Commit(), s.Close()); err != nil {
		t.Error(err)
	}
	if data := <-got; data != "stream" {
		t.Errorf("arrived: %q", data)
	}
}

// TestFIFOIsReplaced: a pipe that has been replaced by a file since the probe is not written to.
func TestFIFOIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFIFO(t.Context(), path, 0); !errors.Is(err, os.ErrExist) {
		t.Errorf("openFIFO = %v", err)
	}
	if data, err := os.ReadFile(path); string(data) != "mine" || err != nil {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
}
