// Package batchvfs is a SQLite VFS for a private database that is written from its start to its
// end, as by a backup: consecutive pages are written together. SQLite's own VFS writes each page
// separately, which takes the kernel several times as long.
//
// The last pages reach the file at the end of the transaction. Nobody else may read or write the
// file before.
//
// It also opens a path below /proc/self/fd as it is, where SQLite's own VFS resolves symbolic links
// first, and opens whatever is at the resulting path by then.
package batchvfs
