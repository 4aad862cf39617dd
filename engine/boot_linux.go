package engine

import (
	"os"
	"strings"
	"sync"
)

// bootID is the same until the next boot, and empty if the kernel does not tell.
var bootID = sync.OnceValue(func() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
})
