// Package engine takes verified snapshots of live SQLite databases and restores them.
//
// [TakeSnapshot] copies a database that may be in use, with SQLite's online backup API and within
// one read transaction, to a private file, and has SQLite check that file. A [Snapshot] has always
// passed its check. [Install] creates a database from such an image; [Verify] checks an image
// without installing it, and [ReadImage] also keeps it for queries. [Inspect] describes a database
// without opening it in SQLite, [Predict] says what TakeSnapshot would do, [TakeToken] whether a
// database has changed, and [FindDatabases] searches a directory for databases. [Checkpoint]
// checkpoints the write-ahead log: it alone writes to a source.
//
// TakeSnapshot, Inspect, Predict and Verify change nothing about the source: not a byte, not a
// modification time, not a directory entry. If root calls them, they read with the identity of the
// database's owner. (SQLite then sets the owner of an existing -wal and -shm to what it already is,
// which changes their change time.) The file LOCKING.md beside this source says how a database is
// opened, and which lock is held when.
//
// Errors are of type [*Error], and errors.Is matches them with their [Kind].
//
// # Databases that your own process has open
//
// POSIX locks belong to the process: closing any descriptor of a file drops every lock that the
// process holds on it (https://www.sqlite.org/howtocorrupt.html, section 2.2). To read a header,
// the engine has to open and close the file, which would silently drop the locks of a connection
// that the calling program has open on the same database. It therefore refuses such a database with
// [KindInProcess]. For the same reason, calls on one database within one process must not overlap.
//
// Functions of this package are safe for concurrent use on different databases. Their results are
// not safe for concurrent use unless documented otherwise.
package engine
