package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestFactsExpand(t *testing.T) {
	f := streamFacts{size: 8448, imageSize: 8192, sha256: "abc"}
	got := f.expand([]string{"x", "{size}", "a{size}b{size}", "{image_size}:{sha256}", "{SIZE} {", "{{size}}"})
	want := []string{"x", "8448", "a8448b8448", "8192:abc", "{SIZE} {", "{8448}"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFactsEnvironment(t *testing.T) {
	f := streamFacts{imageSize: 8192, sha256: "abc"}
	if got := strings.Join(f.environment(),
		" "); got != "SQLITE_CHECKPOINT_IMAGE_SIZE=8192 SQLITE_CHECKPOINT_SHA256=abc" {
		t.Errorf("size not known: %s", got)
	}
	f.size = 8448
	if got := f.environment(); !slices.Contains(got, "SQLITE_CHECKPOINT_SIZE=8448") || !isFact(got[2]) ||
		isFact("PATH=/bin") {
		t.Errorf("%q", got)
	}
}

// CMD's output appears on the terminal, in place of our bar, but CMD cannot prompt there: it has no
// controlling terminal.
func TestPipeOnTerminal(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(testBinary(t), filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	script := `sqlite3 a.db 'create table t(x);' && TMPDIR=. ./` + program +
		` pipe a.db -- sh -c 'sleep 0.7; cat >/dev/null; test -t 2 && echo seen >&2; read x </dev/tty || exit 3'`
	cmd := exec.Command("script", "-qec", script, "/dev/null")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TERM=xterm")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "sending") {
		t.Errorf("two programs draw on one terminal: %s", out)
	}
	if err == nil || !strings.Contains(string(out), "seen") || !strings.Contains(string(out), "/dev/tty") {
		t.Errorf("%v: %s", err, out)
	}
	if want := "error: CMD failed: sh exited with status " +
		strconv.Itoa(cmd.ProcessState.ExitCode()); !strings.Contains(string(out), want) {
		t.Errorf("%s, want %s", out, want)
	}
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
