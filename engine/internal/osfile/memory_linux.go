package osfile

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// CacheRoom returns how many bytes the page cache can take in before the kernel takes memory away
// that is in use: what is free, or holds parts of files that nobody has come back to. It is the
// least of what the machine has and each memory cgroup that this process is in; what cannot be read
// is no limit.
func CacheRoom() int64 {
	room := int64(math.MaxInt64)
	machine := numbers("/proc/meminfo")
	if free, ok := machine["MemFree:"]; ok {
		room = (free + machine["Inactive(file):"]) << 10
	}
	groups, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		if number == "0" {
			room = min(room, version2.room(group))
		} else if controllers == "memory" {
			room = min(room, version1.room(group))
		}
	}
	return max(room, 0)
}

// A hierarchy is one of cgroups, and how its files and figures are named.
type hierarchy struct{ root, limit, usage, unused string }

var (
	version1 = hierarchy{
		"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
	}
	version2 = hierarchy{"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
)

// room looks at a cgroup and all above it. In a container the directory may not be there, and the
// container's own cgroup be the root.
func (h hierarchy) room(group string) int64 {
	room := int64(math.MaxInt64)
	for group = path.Join("/", group); ; group = path.Dir(group) {
		dir := path.Join(h.root, group)
		limit, limited := number(path.Join(dir, h.limit))
		if usage, ok := number(path.Join(dir, h.usage)); ok && limited {
			room = min(room, limit-usage+numbers(path.Join(dir, "memory.stat"))[h.unused])
		}
		if group == "/" {
			return room
		}
	}
}

func number(file string) (n int64, ok bool) {
	text, _ := os.ReadFile(file)
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// numbers reads a file of lines that begin with a name and a number.
func numbers(file string) map[string]int64 {
	all := map[string]int64{}
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) >= 2 {
			all[words[0]], _ = strconv.ParseInt(words[1], 10, 64)
		}
	}
	return all
}
