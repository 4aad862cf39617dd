// Package batchvfs is a VFS of SQLite's for a database that is written from its start to its end,
// as by a backup: pages that follow each other are written together. SQLite's own VFS writes each
// page by itself, which takes the kernel several times as long.
//
// What is written becomes the file's at the end of the transaction. Nobody else must read or write
// the file before.
package batchvfs
