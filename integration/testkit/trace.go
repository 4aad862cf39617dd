// Package testkit has what the tests of every layer share.
package testkit

import (
	"regexp"
	"strings"
)

// padding is what strace puts before a result, to align it.
var padding = regexp.MustCompile(`\) += `)

// WholeCalls joins calls that strace -f prints in two parts because another thread's call came in
// between. Each is then one line, where it ended.
func WholeCalls(trace string) string {
	const tears, resumes, resumed = " <unfinished ...>", "<... ", " resumed>"
	begun := map[string]string{} // by process or thread ID
	var whole strings.Builder
	for line := range strings.Lines(trace) {
		id, call, _ := strings.Cut(line, " ")
		if beginning, torn := strings.CutSuffix(strings.TrimRight(line, "\n"), tears); torn {
			begun[id] = beginning
			continue
		}
		if _, rest, found := strings.Cut(call, resumed); found && strings.HasPrefix(strings.TrimSpace(call), resumes) {
			line = begun[id] + padding.ReplaceAllString(rest, ") = ")
			delete(begun, id)
		}
		whole.WriteString(line)
	}
	for _, beginning := range begun { // of calls that never returned
		whole.WriteString(beginning + tears + "\n")
	}
	return whole.String()
}
