package osfile

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// CacheRoom returns by how many bytes the page cache can grow before the kernel reclaims memory
// that is in use: free memory, and pages of files that were read only once. It is the minimum over
// the machine and each memory cgroup that contains this process; a figure that cannot be read
// sets no limit.
func CacheRoom() int64 { return roomBeside("Inactive(file):") }

// DirtyRoom is CacheRoom, but with all pages of files on the machine: of these and free memory the
// kernel lets a part be dirty (Documentation/admin-guide/sysctl/vm.rst, dirty_background_ratio).
func DirtyRoom() int64 { return roomBeside("Inactive(file):", "Active(file):") }

// roomBeside counts free memory and these figures of the machine.
func roomBeside(figures ...string) int64 {
	room := int64(math.MaxInt64)
	machine := numbers("/proc/meminfo")
	if free, ok := machine["MemFree:"]; ok {
		for _, figure := range figures {
			free += machine[figure]
		}
		room = free << 10
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

// A hierarchy is a version of cgroups, with the names of its files and figures.
type hierarchy struct{ root, limit, usage, unused string }

var (
	version1 = hierarchy{
		"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
	}
	version2 = hierarchy{"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
)

// room returns the least room of a cgroup and all above it. In a container the directory may not
// exist, and the root may be the container's own cgroup.
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
