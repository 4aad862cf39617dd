// Package engine takes verified snapshots of live SQLite databases and puts them back.
//
// [TakeSnapshot] copies a database that may be in use, through SQLite's online backup API and inside one read
// transaction, into a private file, and has SQLite check that very file: a [Snapshot] that you hold is one that has
// passed. [Predict] says whether it would work, and touches nothing. [Install] is the inverse, [Verify] the proof
// without the installation. [Inspect] tells what a database is from plain reads, [Checkpoint] folds its write-ahead log back, and [FindDatabases] finds the databases below a directory.
//
// TakeSnapshot, Predict, Inspect and Verify change nothing about the source: not a byte, not a modification time, not a
// directory entry. Called by root they read with the identity of the database's owner. (SQLite then sets the owner of an
// existing -wal and -shm to what it is already, which moves their change time.)
//
// # Databases that your own process has open
//
// POSIX locks belong to the process: closing any descriptor of a file drops every lock that the process holds on it
// (https://www.sqlite.org/howtocorrupt.html, section 2.2). The engine has to read a database's header with a descriptor of its own,
// so it would silently take away the locks of a connection that the calling program has open on the same file. It refuses such a
// database with [KindInProcess]. For the same reason two calls of this package on one database, in one process, cannot overlap.
//
// Functions of this package are safe for concurrent use on different databases. Values they return are not safe for concurrent use
// unless they say so.
package engine
