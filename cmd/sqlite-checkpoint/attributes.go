package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// attributeFlags are the owner and the mode of a restored database.
type attributeFlags struct {
	Like  string `placeholder:"FILE" help:"Give DB the owner, mode and ACL of FILE."`
	Mode  string `placeholder:"MODE" help:"Give DB this mode, in octal (default: 0600)."`
	Owner string `placeholder:"USER[:GROUP]" help:"Give DB this owner, by name or number (GROUP: the user's)."`
}

// apply sets mode and owner in the options. --mode and --owner take precedence over --like.
func (f attributeFlags) apply(opts *engine.InstallOptions) error {
	if f.Like != "" {
		info, err := os.Stat(f.Like)
		if err != nil {
			return usagef("--like %s: %w", f.Like, cause(err))
		}
		if !info.Mode().IsRegular() {
			return usagef("--like %s: it is not a regular file", f.Like)
		}
		stat := info.Sys().(*syscall.Stat_t)
		opts.Mode, opts.Owner = info.Mode().Perm(), &engine.Owner{UID: int(stat.Uid), GID: int(stat.Gid)}
		if opts.ACL, err = engine.ReadACL(f.Like); err != nil {
			return usagef("--like %s: read its ACL: %w", f.Like, cause(err))
		}
	}
	if f.Mode != "" {
		mode, err := strconv.ParseUint(f.Mode, 8, 32)
		if err != nil || mode == 0 || mode > uint64(fs.ModePerm) {
			return usagef("--mode %s: it must be an octal number up to 0777, such as 0640", f.Mode)
		}
		opts.Mode, opts.ACL = fs.FileMode(mode), nil
	}
	if f.Owner != "" {
		owner, err := findOwner(f.Owner)
		if err != nil {
			return usagef("--owner %s: %w", f.Owner, err)
		}
		opts.Owner = owner
	}
	return nil
}

// findOwner parses USER, USER:GROUP and :GROUP, as chown does.
func findOwner(name string) (*engine.Owner, error) {
	userName, groupName, grouped := strings.Cut(name, ":")
	owner := engine.Owner{UID: -1, GID: -1} // which chown(2) leaves unchanged
	if userName != "" {
		known, err := user.Lookup(userName)
		if err != nil {
			known, err = user.LookupId(userName)
		}
		switch number, notNumber := strconv.ParseUint(userName, 10, 31); {
		case err == nil:
			owner.UID, _ = strconv.Atoi(known.Uid)
			owner.GID, _ = strconv.Atoi(known.Gid)
		case notNumber == nil: // such as a user of a container, who has no name here
			owner.UID = int(number)
		default:
			return nil, fmt.Errorf("there is no user %s", userName)
		}
	}
	if grouped && groupName != "" {
		var err error
		if owner.GID, err = findGroup(groupName); err != nil {
			return nil, err
		}
	}
	return &owner, nil
}

func findGroup(name string) (int, error) {
	if known, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(known.Gid)
	}
	number, err := strconv.ParseUint(name, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("there is no group %s", name)
	}
	return int(number), nil
}
