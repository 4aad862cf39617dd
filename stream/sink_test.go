package stream

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func TestProbeTarget(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("file"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", path("dangling")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		target string
		kind   Target
		want   error
	}{
		{path("new"), NewFile, nil},
		{path("-"), NewFile, nil},
		{path("file"), 0, fs.ErrExist},
		{path("dangling"), 0, fs.ErrExist},
		{dir, 0, fs.ErrExist},
		{path("missing/new"), 0, fs.ErrNotExist},
		{path("file/new"), 0, errNotDirectory},
		{os.DevNull, 0, fs.ErrExist},
	} {
		kind, err := ProbeTarget(test.target, nil)
		if !errors.Is(err, test.want) || err == nil && kind != test.kind {
			t.Errorf("ProbeTarget(%s) = %v, %v, want %v, %v", test.target, kind, err, test.kind, test.want)
		}
		if err == nil {
			continue
		}
		if _, openErr := OpenSink(t.Context(), test.target, SinkOptions{}); !errors.Is(openErr, test.want) {
			t.Errorf("OpenSink(%s) = %v, want %v", test.target, openErr, test.want)
		}
	}
	if data, err := os.ReadFile(path("file")); string(data) != "mine" || err != nil {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
}

func TestProbeClosedFile(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := ProbeTarget("-", f); !errors.Is(err, ErrClosed) {
		t.Errorf("ProbeTarget = %v, want %v", err, ErrClosed)
	}
}

func TestFileSink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "new")
	s, err := OpenSink(t.Context(), target, SinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Target() != NewFile {
		t.Errorf("Target = %v", s.Target())
	}
	for _, part := range []string{"a ", "whole ", "stream"} {
		if n, err := s.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there before Commit: %v", err)
	}
	for range 2 {
		if err := s.Commit(); err != nil {
			t.Errorf("Commit = %v", err)
		}
	}
	if _, err := s.Write([]byte("more")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Write after Commit = %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	if data, err := os.ReadFile(target); string(data) != "a whole stream" || err != nil {
		t.Errorf("it holds %q, %v", data, err)
	}
	if got := testkit.Names(t, dir); len(got) != 1 {
		t.Errorf("the directory holds %q", got)
	}
}

func TestFileSinkAbandoned(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "new")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	for _, cancelled := range []bool{false, true} {
		s, err := OpenSink(ctx, target, SinkOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("half a str"))
		if cancelled {
			cancel(errFailed)
			if _, err := s.Write([]byte("eam")); err != errFailed {
				t.Errorf("Write = %v", err)
			}
			if err := s.Commit(); err != errFailed {
				t.Errorf("Commit = %v", err)
			}
		}
		s.Close()
		if err := s.Commit(); err == nil {
			t.Error("Commit after Close succeeds")
		}
		if got := testkit.Names(t, dir); len(got) != 0 {
			t.Errorf("the directory holds %q", got)
		}
	}
	if _, err := OpenSink(ctx, target, SinkOptions{}); err != errFailed {
		t.Errorf("OpenSink after the end of its context = %v", err)
	}
}

// TestFileSinkIsBeaten: another file that has taken the name is not changed.
func TestFileSinkIsBeaten(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "new")
	s, err := OpenSink(t.Context(), target, SinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Write([]byte("ours"))
	if err := os.WriteFile(target, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Commit(); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Commit = %v, want %v", err, fs.ErrExist)
		}
	}
	s.Close()
	if data, err := os.ReadFile(target); string(data) != "theirs" || err != nil {
		t.Errorf("it holds %q, %v", data, err)
	}
	if got := testkit.Names(t, dir); len(got) != 1 {
		t.Errorf("the directory holds %q", got)
	}
}
