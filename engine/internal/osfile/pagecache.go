package osfile

// An Extent is a part of a file, in bytes.
type Extent struct{ Offset, Length int64 }
