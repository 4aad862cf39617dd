//go:build !linux && !darwin && !freebsd

package atomicfile

// NetworkFilesystem cannot tell on this platform.
func NetworkFilesystem(string) (name string, network bool, err error) { return "", false, nil }
