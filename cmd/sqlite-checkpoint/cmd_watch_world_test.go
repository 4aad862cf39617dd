//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
)

// The metrics of a database whose name is not UTF-8 are kept when others are updated.
func TestWatchMetricsOfOddNames(t *testing.T) {
	w := newWatching(t, "a\xff", "b\n", "--c \"'")
	w.start(`echo x >>log`, "--each", "--metrics", "m.prom")
	const success = "\nsqlite_checkpoint_last_success_timestamp_seconds{"
	var before string
	for round := range 3 {
		w.until("all is saved", func() bool {
			data, _ := os.ReadFile(w.path("m.prom"))
			saved := string(data)
			if len(w.runs()) != 3+round || saved == before || strings.Contains(saved, "\"} 1\n") ||
				strings.Count(saved, success) != 3 || !strings.Contains(saved, `/a\\xff"}`) {
				return false
			}
			before = saved
			return true
		})
		w.commit("b\n")
	}
}
