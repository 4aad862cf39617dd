//go:build !linux && !darwin && !freebsd

package atomicfile

// NetworkFilesystem returns nothing: this platform does not say.
func NetworkFilesystem(string) (name string, network bool, err error) { return "", false, nil }
