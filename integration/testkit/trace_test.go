package testkit

import "testing"

func TestWholeCalls(t *testing.T) {
	const torn = `10    openat(AT_FDCWD, "/a", O_RDONLY) = 3</a>
10    fsync(12</tmp/image.db> <unfinished ...>
11    linkat(AT_FDCWD, "/x", AT_FDCWD, "/y", 0 <unfinished ...>
12    write(1, "<... fsync resumed>", 19) = 19
10    <... fsync resumed>)              = 0 (INJECTED)
11    <... linkat resumed>)             = 0
12    --- SIGURG {si_signo=SIGURG} ---
12    read(0,  <unfinished ...>
10    +++ exited with 0 +++
`
	const whole = `10    openat(AT_FDCWD, "/a", O_RDONLY) = 3</a>
12    write(1, "<... fsync resumed>", 19) = 19
10    fsync(12</tmp/image.db>) = 0 (INJECTED)
11    linkat(AT_FDCWD, "/x", AT_FDCWD, "/y", 0) = 0
12    --- SIGURG {si_signo=SIGURG} ---
10    +++ exited with 0 +++
12    read(0,  <unfinished ...>
`
	if got := WholeCalls(torn); got != whole {
		t.Errorf("got\n%s", got)
	}
}
