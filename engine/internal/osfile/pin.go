package osfile

import "errors"

// ErrMoved means that the name of a file leads to something else by now.
var ErrMoved = errors.New("its name leads to something else")
