package osfile

import (
	"os"
	"strings"
	"sync"
)

// BootID identifies the current boot. It is empty if unknown.
var BootID = sync.OnceValue(func() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
})
