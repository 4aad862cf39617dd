package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestJSONKeys has the keys that scripts rely on, in their order: the first ones of each result.
func TestJSONKeys(t *testing.T) {
	for _, c := range []struct {
		result result
		keys   string
	}{
		{&checkpointResult{}, "command mode busy wal_pages checkpointed_pages fully_checkpointed database elapsed_ms"},
		{&backupResult{}, "command source destination size_bytes sha256 elapsed_ms"},
		{&snapshotResult{}, "command checkpoint backup elapsed_ms"},
		{&infoResult{},
			"command path size_bytes journal_mode wal_file_exists wal_size_bytes page_size page_count freelist_count"},
		{&verifyResult{}, "command source format size_bytes sha256"},
		{&restoreResult{}, "command source destination format size_bytes sha256"},
	} {
		want := strings.Fields(c.keys)
		got := objectKeys([]byte(jsonLine(c.result)))
		if !slices.Equal(got[:min(len(want), len(got))], want) {
			t.Errorf("%T: keys %q", c.result, got)
		}
		if unique := slices.Compact(slices.Sorted(slices.Values(got))); len(unique) != len(got) {
			t.Errorf("%T: a key is there twice: %q", c.result, got)
		}
	}
}

func TestSnapshotKeys(t *testing.T) {
	var inner map[string]json.RawMessage
	if err := json.Unmarshal([]byte(jsonLine(&snapshotResult{})), &inner); err != nil {
		t.Fatal(err)
	}
	if got := objectKeys(inner["checkpoint"]); !slices.Equal(got,
		strings.Fields("mode busy wal_pages checkpointed_pages fully_checkpointed")) {
		t.Errorf("checkpoint: %q", got)
	}
	if got := objectKeys(inner["backup"]); !slices.Equal(got[:4],
		strings.Fields("source destination size_bytes sha256")) {
		t.Errorf("backup: %q", got)
	}
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0.00", 1234567: "1.23", 90 * time.Second: "90000.00",
		4 * time.Microsecond: "0.00"} {
		if got := strings.TrimSpace(jsonLine(millis(d))); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestFailureKeys(t *testing.T) {
	if got := objectKeys([]byte(jsonLine(failure{}))); !slices.Equal(got, []string{"code", "kind", "message", "hint"}) {
		t.Errorf("%q", got)
	}
}

// A checkpoint that another one has kept from looking at the WAL does not know that it is empty.
func TestDescribeCheckpoint(t *testing.T) {
	for want, f := range map[string]checkpointFields{
		"nothing to checkpoint (PASSIVE)":                             {Mode: "PASSIVE", Complete: true},
		"0 of 0 WAL pages checkpointed (FULL), the others are in use": {Mode: "FULL", Busy: true},
	} {
		if got := f.describe(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
