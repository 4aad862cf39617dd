//go:build !linux

package engine

import "errors"

type lease struct{}

// takeLease always fails: only Linux can prove that nobody has a file open.
func takeLease(path string) (*lease, error) {
	return nil, &Error{Kind: KindBusy, Op: "set aside", Path: path, Err: errors.New("this system cannot tell whether somebody has it open")}
}

func (*lease) Close() error { return nil }

func (*landing) replace(dst, _ string) ([]string, error) {
	_, err := takeLease(dst)
	return nil, err
}
