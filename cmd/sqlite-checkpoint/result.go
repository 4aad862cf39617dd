package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A result is what a command found or did. Its JSON keys are a contract: those of the Python
// original come first, in their order and with their types. Keys may be added, none removed.
type result interface {
	lines() []string // for people
}

// imageFields are the keys of the original in the result of a backup. Size and digest are the
// image's.
type imageFields struct {
	Source      path   `json:"source"`
	Destination path   `json:"destination"`
	SizeBytes   int64  `json:"size_bytes"`
	SHA256      string `json:"sha256"`
}

// streamFields are the other keys of a backup: what was written, and more about the image.
type streamFields struct {
	StreamBytes  int64  `json:"stream_bytes"`
	StreamSHA256 string `json:"stream_sha256"`
	Format       string `json:"format"` // raw, zstd, or image: a plain database file
	Check        string `json:"check"`
	CheckReason  text   `json:"check_reason,omitempty"`
	PageSize     int    `json:"page_size"`
	PageCount    int64  `json:"page_count"`
	JournalMode  string `json:"journal_mode"`
	Copy         millis `json:"copy_ms"` // how long the source was locked
	Sidecar      path   `json:"sidecar,omitempty"`
	Warnings     []text `json:"warnings"`
	Unchanged    bool   `json:"unchanged,omitempty"` // no copy was made: the one at destination has the same image

	Shards *shardFields `json:"shards,omitempty"`
}

type backupResult struct {
	Command string `json:"command"`
	imageFields
	Elapsed millis `json:"elapsed_ms"`
	streamFields
}

func (r *backupResult) lines() []string {
	if r.Unchanged {
		unchanged := fmt.Sprintf("%s: unchanged, no copy made: %s has it", r.Source, r.Destination)
		return []string{unchanged, complete("nothing written", r.SHA256)}
	}
	lines := []string{fmt.Sprintf("%s -> %s: %s", r.Source, r.Destination, describe(r.SizeBytes, r.streamFields))}
	if r.Sidecar != "" {
		lines = append(lines, "digest in "+string(r.Sidecar))
	}
	if r.Shards != nil {
		lines = append(lines, r.Shards.describe())
	}
	return append(lines, complete(written(r.Format, r.StreamBytes, r.SizeBytes), r.SHA256))
}

// describe describes the image in one line.
func describe(size int64, s streamFields) string {
	pages := fmt.Sprintf("%s pages of %d bytes", humanize.Comma(s.PageCount), s.PageSize)
	text := fmt.Sprintf("%s, %s, %s", humanize.IBytes(uint64(size)), pages, checkedAs(s.Check))
	if s.Format == "zstd" {
		text += fmt.Sprintf(", compressed to %s", humanize.IBytes(uint64(s.StreamBytes)))
	}
	return text
}

func checkedAs(level string) string {
	if level == string(engine.LevelNone) {
		return "not checked"
	}
	return level + " check passed"
}

// complete is the last line of a success. Scripts look for it.
func complete(what, digest string) string {
	return fmt.Sprintf("complete: %s, image sha256=%s", what, digest)
}

// written says how large a stream is, and its image if that is compressed.
func written(format string, size, image int64) string {
	if format == string(stream.Zstd) {
		return fmt.Sprintf("%d bytes compressed from %d", size, image)
	}
	return fmt.Sprintf("%d bytes", size)
}

// warnOfCheck warns of a check that was weaker than requested.
func (c *console) warnOfCheck(name string, info engine.Info) {
	if warning := weakCheck(name, info); warning != "" {
		c.warn(warning)
	}
}

func weakCheck(name string, info engine.Info) string {
	if info.Reason == "" {
		return ""
	}
	return fmt.Sprintf("%s: %s check only: %s", name, info.Level, info.Reason)
}

func journalMode(wal bool) string {
	if wal {
		return "wal"
	}
	return "delete"
}

// A path is a file name as it was typed. Very long ones are shortened, to limit the length of a
// line of JSON.
type path string

func (p path) MarshalJSON() ([]byte, error) { return fit(string(p), 8<<10), nil }

func paths(names []string) (list []path) {
	for _, name := range names {
		list = append(list, path(name))
	}
	return list
}

// A text is a sentence, limited to the length of a line for people.
type text string

func (t text) MarshalJSON() ([]byte, error) { return fit(string(t), humanLimit), nil }

// texts returns at most ten lines.
func texts(lines []string) []text {
	list := make([]text, 0, len(lines))
	for _, l := range lines[:min(len(lines), 10)] {
		list = append(list, text(l))
	}
	return list
}

// fit encodes s in at most limit bytes.
func fit(s string, limit int) []byte {
	for {
		var out strings.Builder
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.Encode(s)
		if encoded := escapeJSON(strings.TrimSuffix(out.String(), "\n")); len(encoded) <= limit {
			return []byte(encoded)
		}
		s = shorten(s, len(s)*3/4)
	}
}

// A millis is a duration, in JSON in milliseconds with two decimals.
type millis time.Duration

func since(start time.Time) millis { return millis(time.Since(start)) }

func (m millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/float64(time.Millisecond), 'f', 2, 64), nil
}
