package engine

// SQLite's lock bytes. See https://www.sqlite.org/src/file/src/os.h, PENDING_BYTE and after.
const (
	pendingByte = 0x40000000
	sharedFirst = pendingByte + 2
	sharedSize  = 510
)
