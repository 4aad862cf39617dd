package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// TestLikeACL: the access control list of --like goes with its mode. Without the list, a mode
// grants the file's group what the list grants to others.
func TestLikeACL(t *testing.T) {
	// owner rw-, user 1000 rw-, group ---, mask rw-, others ---
	list := []byte("\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x06\x00\xe8\x03\x00\x00" +
		"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff")
	model := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(model, nil, 0o660); err != nil {
		t.Fatal(err)
	}
	err := unix.Setxattr(model, "system.posix_acl_access", list, 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Skip("this file system has no access control lists")
	}
	if err != nil {
		t.Fatal(err)
	}
	var opts engine.InstallOptions
	if err := (attributeFlags{Like: model}).apply(&opts); err != nil || !bytes.Equal(opts.ACL, list) {
		t.Errorf("%v, the list is %x, want %x", err, opts.ACL, list)
	}
	if err := (attributeFlags{Like: model, Mode: "0640"}).apply(&opts); err != nil || opts.ACL != nil {
		t.Errorf("with --mode: %v, the list is %x", err, opts.ACL)
	}
}
