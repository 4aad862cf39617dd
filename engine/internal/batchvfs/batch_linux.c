//go:build cgo

#include <string.h>

// The structures of SQLite's interface, as far as they are needed here. What SQLite adds to them
// goes to their ends. See sqlite3_io_methods and sqlite3_vfs in https://www.sqlite.org/c3ref.

typedef struct file file;
typedef struct vfs vfs;

struct methods {
	int version;
	int (*close)(file *);
	int (*read)(file *, void *, int length, long long offset);
	int (*write)(file *, const void *, int length, long long offset);
	int (*truncate)(file *, long long size);
	int (*sync)(file *, int flags);
	int (*size)(file *, long long *);
	int (*lock)(file *, int);
	int (*unlock)(file *, int);
	int (*reserved)(file *, int *);
	int (*control)(file *, int op, void *);
	void *others[6]; // of version 2
};

struct file {
	const struct methods *methods;
};

struct vfs {
	int version, fileSize, maxPath;
	vfs *next;
	const char *name;
	void *data;
	int (*open)(vfs *, const char *, file *, int flags, int *outFlags);
	void *delete, *access;
	int (*fullPathname)(vfs *, const char *, int length, char *);
	void *others[12]; // of version 3
};

// SQLite's names for these are SQLITE_OK and so on.
enum { ok = 0, openReadWrite = 0x2, openMainDB = 0x100, controlSync = 21 };

// Weak, because this package is linked without SQLite, too.
extern vfs *sqlite3_vfs_find(const char *name) __attribute__((weak));
extern int sqlite3_vfs_register(vfs *, int isDefault) __attribute__((weak));

static vfs *plain; // SQLite's own
static vfs batching;

// A batch is a piece of a file that is still to be written. The pieces are smaller than 128 KiB,
// the least that SQLite's own VFS does not write, and end at multiples of their size.
struct batch {
	const struct methods *plain;
	struct methods batching;
	int err; // of the first write that has failed; the file is lost then
	int length;
	long long start;
	char bytes[64 << 10];
};

// batchOf finds the batch behind SQLite's own part of the file.
static struct batch *batchOf(file *f) { return (struct batch *)((char *)f + plain->fileSize); }

static int flush(file *f) {
	struct batch *b = batchOf(f);
	if (b->err == ok && b->length > 0) b->err = b->plain->write(f, b->bytes, b->length, b->start);
	b->length = 0;
	return b->err;
}

static int batchWrite(file *f, const void *bytes, int length, long long offset) {
	struct batch *b = batchOf(f);
	const int most = sizeof b->bytes;
	if (offset != b->start + b->length || b->length + length > most) {
		if (flush(f) != ok) return b->err;
		if (length > most) return b->plain->write(f, bytes, length, offset);
		b->start = offset;
	}
	memcpy(b->bytes + b->length, bytes, length);
	b->length += length;
	return (offset + length) % most == 0 ? flush(f) : b->err;
}

static int batchRead(file *f, void *bytes, int length, long long offset) {
	int err = flush(f);
	return err != ok ? err : batchOf(f)->plain->read(f, bytes, length, offset);
}

static int batchTruncate(file *f, long long size) {
	int err = flush(f);
	return err != ok ? err : batchOf(f)->plain->truncate(f, size);
}

static int batchSize(file *f, long long *size) {
	int err = flush(f);
	return err != ok ? err : batchOf(f)->plain->size(f, size);
}

// batchControl is called at each commit, before SQLite syncs the file, if it does.
static int batchControl(file *f, int op, void *argument) {
	int err = op == controlSync ? flush(f) : ok;
	return err != ok ? err : batchOf(f)->plain->control(f, op, argument);
}

static int batchOpen(vfs *v, const char *name, file *f, int flags, int *outFlags) {
	(void)v;
	int err = plain->open(plain, name, f, flags, outFlags);
	if (err != ok || !(flags & openMainDB) || !(flags & openReadWrite)) return err;
	struct batch *b = batchOf(f);
	memset(b, 0, sizeof *b);
	b->plain = f->methods;
	memcpy(&b->batching, f->methods, sizeof b->batching);
	b->batching.version = 2; // a mapping would not show what is still to be written
	b->batching.read = batchRead;
	b->batching.write = batchWrite;
	b->batching.truncate = batchTruncate;
	b->batching.size = batchSize;
	b->batching.control = batchControl;
	f->methods = &b->batching;
	return ok;
}

// fullPathname keeps a path through a descriptor: SQLite's own would replace it with what the
// directory is called now, and open that.
static int fullPathname(vfs *v, const char *name, int length, char *full) {
	(void)v;
	const char *through = "/proc/self/fd/";
	size_t needed = strlen(name) + 1;
	if (strncmp(name, through, strlen(through)) != 0 || needed > (size_t)length)
		return plain->fullPathname(plain, name, length, full);
	memcpy(full, name, needed);
	return ok;
}

// batchvfs_register tells SQLite the name.
int batchvfs_register(const char *name) {
	plain = sqlite3_vfs_find("unix");
	if (plain == NULL) return 1;
	batching = *plain;
	batching.fileSize += sizeof(struct batch);
	batching.name = name;
	batching.open = batchOpen;
	batching.fullPathname = fullPathname;
	return sqlite3_vfs_register(&batching, 0);
}
