package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

func TestWeaker(t *testing.T) {
	levels := []engine.Level{engine.LevelNone, engine.LevelStructural, engine.LevelQuick, engine.LevelFull}
	for i, a := range levels {
		for j, b := range levels {
			if got := weaker(a, b); got != levels[min(i, j)] {
				t.Errorf("of %s and %s: %s", a, b, got)
			}
		}
		if got := weaker("", a); got != a {
			t.Errorf("of none and %s: %s", a, got)
		}
	}
}

// TestManifestFault: damage decides the status; files in use, or that may not be read, only if
// nothing worse is wrong.
func TestManifestFault(t *testing.T) {
	damaged, forbidden := error(usagef("x")), error(fs.ErrPermission)
	used := error(&fault{kind: kindInUse, err: fs.ErrInvalid})
	for _, c := range []struct {
		failed []error
		want   engine.Kind
	}{
		{[]error{damaged}, kindDamagedTree}, {[]error{used}, kindInUse}, {[]error{forbidden}, engine.KindUnreadable},
		{[]error{used, forbidden, damaged}, kindDamagedTree}, {[]error{forbidden, used}, engine.KindUnreadable},
		{[]error{used, forbidden}, kindInUse},
	} {
		f := manifestFault("dir", c.failed, 5).(*fault)
		advised := f.hint == readAsOwner
		if f.kind != c.want || len(f.findings) != len(c.failed) || advised != (f.kind == engine.KindUnreadable) {
			t.Errorf("%v: %s, %q, hint %q", c.failed, f.kind, f.findings, f.hint)
		}
	}
}

// TestAllowance: a percentage is of the rows of the live table, rounded down.
func TestAllowance(t *testing.T) {
	for _, c := range []struct {
		allowed string
		behind  int64
		of      int64
		want    bool
	}{
		{"0", 0, 10, true}, {"0", 1, 10, false}, {"3", 3, 10, true}, {"3", 4, 10, false}, {"1%", 1, 199, true},
		{"1%", 2, 199, false}, {"1%", 2, 200, true}, {"0.5%", 1, 199, false}, {"0.5%", 1, 200, true},
		{"29%", 29, 100, true}, {"29%", 30, 100, false}, {"100%", 10, 10, true},
	} {
		var a allowance
		if err := a.UnmarshalText([]byte(c.allowed)); err != nil || a.allows(c.behind, c.of) != c.want {
			t.Errorf("%+v: %v, %v", c, err, !c.want)
		}
	}
}

// TestAttributeFlags: --mode and --owner go before --like.
func TestAttributeFlags(t *testing.T) {
	like := filepath.Join(t.TempDir(), "like")
	if err := os.WriteFile(like, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	self := engine.Owner{UID: os.Geteuid(), GID: os.Getegid()}
	for _, c := range []struct {
		flags attributeFlags
		mode  fs.FileMode
		owner engine.Owner
	}{
		{attributeFlags{}, 0, engine.Owner{}},
		{attributeFlags{Like: like}, 0o640, self},
		{attributeFlags{Like: like, Mode: "0604"}, 0o604, self},
		{attributeFlags{Like: like, Owner: "4711:4712"}, 0o640, engine.Owner{UID: 4711, GID: 4712}},
		{attributeFlags{Mode: "777"}, 0o777, engine.Owner{}},
		{attributeFlags{Mode: "1"}, 1, engine.Owner{}},
		{attributeFlags{Owner: "root"}, 0, engine.Owner{}},
		{attributeFlags{Owner: ":4712"}, 0, engine.Owner{UID: -1, GID: 4712}},
		{attributeFlags{Owner: "4711"}, 0, engine.Owner{UID: 4711, GID: -1}},
		{attributeFlags{Owner: "root:4712"}, 0, engine.Owner{UID: 0, GID: 4712}},
	} {
		var opts engine.InstallOptions
		if err := c.flags.apply(&opts); err != nil || opts.Mode != c.mode {
			t.Errorf("%+v: mode %v, %v", c.flags, opts.Mode, err)
		}
		asked := c.flags.Like != "" || c.flags.Owner != ""
		if (opts.Owner != nil) != asked || asked && *opts.Owner != c.owner {
			t.Errorf("%+v: owner %+v, want %+v", c.flags, opts.Owner, c.owner)
		}
	}
	bad := []string{"nobody-here", "root:nobody-here", ":nobody-here", "-1", "4294967296"}
	if i := slices.IndexFunc(bad, func(name string) bool { _, err := findOwner(name); return err == nil }); i >= 0 {
		t.Errorf("%s is an owner", bad[i])
	}
}
