package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// nasty are names that a file can have but a line must not contain.
var nasty = []string{
	"new\nline", "car\rriage", "es\x1b[2Jcape", "null\x00byte", "bad\xffutf8", "rtl\u202eoverride", "c1\u009bcontrol",
	"tag\U000e0041", "sep\u2028arator",
	strings.Repeat("\x01", 4096), strings.Repeat("long/", 800), strings.Repeat("é", 2048),
	strings.Repeat("\xff", 4096), strings.Repeat("\u2028", 1365), "",
}

func TestLine(t *testing.T) {
	for _, name := range nasty {
		got := line("error: open " + name + ": no such file")
		if len(got) > humanLimit || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, ": no such file\n") ||
			!strings.HasPrefix(got, "error: open ") {
			t.Errorf("%.40q...: %d bytes: %.80q", name, len(got), got)
		}
		if strings.ContainsAny(got, "\r\x1b\x00\u202e\u2028") || !utf8.ValidString(got) {
			t.Errorf("%.40q: %.80q", name, got)
		}
	}
	if got := line("Überraschung: ein Satz – mit 漢字"); got != "Überraschung: ein Satz – mit 漢字\n" {
		t.Errorf("printable text became %q", got)
	}
}

// worst returns a result and a failure that are as long as possible.
func worst(name string) (result, failure) {
	many := make([]string, 100)
	for i := range many {
		many[i] = name
	}
	r := &backupResult{
		imageFields:  imageFields{Source: path(name), Destination: path(name)},
		streamFields: streamFields{Sidecar: path(name), CheckReason: text(name), Warnings: texts(many)},
	}
	err := &engine.Error{Kind: engine.KindCorrupt, Op: "check", Path: name, Err: errors.New(name), Findings: many}
	return r, explain(context.Background(), "", err)
}

func TestJSONLinesAreShort(t *testing.T) {
	for _, name := range nasty {
		r, f := worst(name)
		for _, value := range []any{r, f} {
			got := jsonLine(value)
			if len(got) > jsonLimit || strings.Count(got, "\n") != 1 || strings.Contains(got, "\r") {
				t.Errorf("%.40q: %d bytes, %d lines", name, len(got), strings.Count(got, "\n"))
			}
			if strings.ContainsAny(got, "\u202e\u2028\u009b\U000e0041") {
				t.Errorf("%.40q: not escaped in %.200s", name, got)
			}
		}
	}
}

func TestPathsAreAsTyped(t *testing.T) {
	for _, name := range []string{"./a b", "<&>", "new\nline", strings.Repeat("p", 4095), `"\`, "\u202e\U000e0041é"} {
		want := strings.TrimSuffix(jsonLine(name), "\n")
		got := strings.TrimSuffix(jsonLine(path(name)), "\n")
		var back string
		if err := json.Unmarshal([]byte(got), &back); got != want || err != nil || back != name {
			t.Errorf("%s, want %s; read as %q, %v", got, want, back, err)
		}
	}
}

// captured runs f with a console whose outputs are files.
func captured(t *testing.T, f func(*console)) (stdout, stderr string) {
	t.Helper()
	var files [2]*os.File
	for i, name := range []string{"stdout", "stderr"} {
		file, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files[i] = file
	}
	f(newConsole(files[0], files[1]))
	var texts [2]string
	for i, file := range files {
		data, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(data)
	}
	return texts[0], texts[1]
}

func TestStderrNeverStallsItsReader(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		for _, name := range nasty {
			stdout, stderr := captured(t, func(c *console) {
				c.json, c.streaming = asJSON, true
				r, f := worst(name)
				c.warn(name)
				c.note(name)
				c.show(r)
				c.printFailure(f)
			})
			if stdout != "" {
				t.Errorf("stdout is the stream's, and has %q", stdout)
			}
			limit := humanLimit
			if asJSON {
				limit = jsonLimit
			}
			if !strings.HasSuffix(stderr, "\n") || strings.Contains(stderr, "\r") {
				t.Errorf("%.40q: bad line ends", name)
			}
			for l := range strings.Lines(stderr) {
				if len(l) > limit {
					t.Errorf("%.40q: a line of %d bytes", name, len(l))
				}
			}
		}
	}
}

func TestQuietSaysOnlyErrors(t *testing.T) {
	stdout, stderr := captured(t, func(c *console) {
		c.quiet = true
		r, f := worst("x")
		c.warn("w")
		c.note("n")
		c.advise("h")
		c.show(r)
		f.Findings, f.Hint = nil, ""
		c.printFailure(f)
	})
	if stdout != "" || stderr != "sqlite-checkpoint: error: check x: x\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
}
