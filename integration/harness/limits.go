package harness

import (
	"testing"
	"time"
)

// Settle waits until all files are old enough for their tokens to be beyond doubt.
func Settle(t testing.TB) {
	t.Helper()
	now := time.Now()
	Eventually(t, "two seconds have passed", func() bool { return time.Since(now) > 2100*time.Millisecond })
}

// NoNamespaces returns a command line that runs script where no mount namespace can be created.
func NoNamespaces(script string) []string {
	return []string{"unshare", "--user", "--map-root-user", "--pid", "--fork", "bash", "-euo", "pipefail", "-c",
		"echo 0 >/proc/sys/user/max_mnt_namespaces; " + script}
}
