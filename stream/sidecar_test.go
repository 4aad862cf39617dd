package stream

import (
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var oddNames = []string{
	"app.db", "-", "-c", " space ", "two  spaces", "*star", "back\\slash", "new\nline", "car\rriage", "\\n",
	"\\\\n\n\\",
	"tab\t", "é ü", "#?%&;", "SHA256 (x) = y", strings.Repeat("n", 200), "\xff\xfe", "\"'`$(x)",
}

func TestSidecarRoundTrip(t *testing.T) {
	d := Digest(sha256.Sum256([]byte("x")))
	for _, name := range oddNames {
		line := FormatSidecar(d, name)
		if got, err := ParseSidecar([]byte(line), name); got != d || err != nil {
			t.Errorf("%q: ParseSidecar(%q) = %s, %v", name, line, got, err)
		}
		if _, err := ParseSidecar([]byte(line), name+"x"); !errors.Is(err, ErrSidecar) {
			t.Errorf("%q: taken for another name: %v", name, err)
		}
	}
}

// TestSidecarStockTool has sha256sum itself read and write sidecars.
func TestSidecarStockTool(t *testing.T) {
	dir := t.TempDir()
	for _, name := range oddNames {
		content := []byte("the content of " + name)
		d := Digest(sha256.Sum256(content))
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		check := exec.Command("sha256sum", "--strict", "--check", "/dev/fd/3")
		check.Dir = dir
		sidecar := filepath.Join(dir, "sidecar")
		if err := os.WriteFile(sidecar, []byte(FormatSidecar(d, name)), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(sidecar)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		check.ExtraFiles = []*os.File{file}
		if name == "-" {
			check.Stdin = strings.NewReader(string(content))
		}
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%q: sha256sum --check: %v: %s", name, err, out)
		}
		write := exec.Command("sha256sum", "--", name)
		write.Dir = dir
		write.Stdin = strings.NewReader(string(content))
		out, err := write.Output()
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != FormatSidecar(d, name) {
			t.Errorf("%q: sha256sum writes %q, we write %q", name, out, FormatSidecar(d, name))
		}
	}
}

func TestSidecarRefused(t *testing.T) {
	hex := Digest(sha256.Sum256(nil)).String()
	for name, data := range map[string]string{
		"empty":            "",
		"no newline":       hex + "  app.db",
		"CRLF":             hex + "  app.db\r\n",
		"upper-case":       strings.ToUpper(hex) + "  app.db\n",
		"short":            hex[1:] + "  app.db\n",
		"long":             hex + "0  app.db\n",
		"one space":        hex + " app.db\n",
		"binary mode":      hex + " *app.db\n",
		"tab":              hex + "\tapp.db\n",
		"other name":       hex + "  other.db\n",
		"no name":          hex + "  \n",
		"path":             hex + "  ../app.db\n",
		"this directory":   hex + "  ./app.db\n",
		"trailing space":   hex + "  app.db \n",
		"two lines":        hex + "  app.db\n" + hex + "  app.db\n",
		"second line":      hex + "  app.db\n\n",
		"first line empty": "\n" + hex + "  app.db\n",
		"comment":          "# x\n" + hex + "  app.db\n",
		"needless escape":  "\\" + hex + "  app.db\n",
		"BSD style":        "SHA256 (app.db) = " + hex + "\n",
		"leading space":    " " + hex + "  app.db\n",
		"NUL":              hex + "  app.db\x00\n",
		"byte order mark":  "\ufeff" + hex + "  app.db\n",
		"digest only":      hex + "\n",
	} {
		if _, err := ParseSidecar([]byte(data), "app.db"); !errors.Is(err, ErrSidecar) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, data := range []string{
		"\\" + hex + "  a\\xb\n",   // no such escape
		"\\" + hex + "  a\\\n",     // half an escape
		hex + "  a\\\\b\n",         // escaped, but not marked so
		"\\" + hex + "  a\rb\\n\n", // half escaped
	} {
		for _, name := range []string{"a\\xb", "a\\", "a\\b", "a\rb\n", "a\\\\b"} {
			if FormatSidecar(Digest(sha256.Sum256(nil)), name) == data {
				continue
			}
			if _, err := ParseSidecar([]byte(data), name); !errors.Is(err, ErrSidecar) {
				t.Errorf("%q was accepted for %q: %v", data, name, err)
			}
		}
	}
}
