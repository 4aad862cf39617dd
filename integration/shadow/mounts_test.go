package shadow

import (
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// A database that is mounted as a single file is copied like any other.
func TestShadowMountedFile(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 2, 0)
	s.add("mounted.db", nil)
	s.Finish(s.Other("unshare", "-m", "bash", "-euc", `mount --bind DELETE srv/app/mounted.db
		sqlite-checkpoint shadow srv/app -- bash -euc 'cd srv/app
			grep mounted.db .sqlite-checkpoint.sha256; sha256sum -c .sqlite-checkpoint.sha256'`)).Exits(0)
}

// CMD sees what is mounted below an entry that is not a database.
func TestShadowMountBelow(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 1, 0)
	s.Finish(s.Other("unshare", "-m", "bash", "-euc", `mkdir -p srv/app/other/mounted
		mount -t tmpfs none srv/app/other/mounted; touch srv/app/other/mounted/file
		sqlite-checkpoint shadow srv/app -- test -f srv/app/other/mounted/file`)).Exits(0)
}
