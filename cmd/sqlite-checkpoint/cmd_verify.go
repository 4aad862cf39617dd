package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

type verifyCmd struct {
	Src string `arg:"" name:"src" help:"A stream or image: a file, - for stdin, or a directory, restored or of shards."`
	fromFlags
	Check  engine.Check `default:"none" enum:"none,auto,quick,full" placeholder:"LEVEL" help:"${verify_check_help}"`
	Tmpdir string       `placeholder:"DIR" help:"Directory for the image while SQLite reads it (default: SQLite's)."`
	queryFlags
	againstFlags
	proofFlags
	metricsFlag
}

func (*verifyCmd) Help() string {
	return `A stream is complete if its length and SHA-256 are those in its trailer and nothing follows. A file without
a trailer is compared with a digest kept elsewhere: SRC.sha256, --sidecar FILE or --sha256 HEX.

In a restored directory, verify checks every database that shadow has listed in .sqlite-checkpoint.sha256.

  sqlite-checkpoint verify app.db.zst
  ssh host 'cat app.db.zst' | sqlite-checkpoint verify --check full -
  sqlite-checkpoint verify --from-command -- \
      restic dump --host "$(hostname)" --path /srv/app/app.db latest /srv/app/app.db
  sqlite-checkpoint verify --query 'SELECT count(*) FROM users' --report proof.json app.db.zst`
}

// Validate rejects invalid combinations of flags.
func (cmd *verifyCmd) Validate() error {
	return errors.Join(cmd.fromFlags.Validate(), cmd.againstFlags.Validate())
}

// Run is the command.
func (cmd *verifyCmd) Run(ctx context.Context, con *console) error {
	if err := cmd.queryFlags.check(); err != nil {
		return err
	}
	if !cmd.FromCommand && isDirectory(cmd.Src) && !stream.IsShards(cmd.Src) {
		if len(cmd.Query) > 0 || cmd.Against != "" {
			return usagef("verify %s: it is a directory; --query and --against are for one database", cmd.Src)
		}
		if cmd.proofFlags != (proofFlags{}) {
			return usagef("verify %s: it is a directory; --sha256, --sidecar and --unproven are for one database",
				cmd.Src)
		}
		return cmd.verifyDirectory(ctx, con)
	}
	if cmd.Tmpdir != "" {
		os.Setenv("SQLITE_TMPDIR", cmd.Tmpdir) // what a query sorts may be larger than the image
	}
	live, err := cmd.takeAgainst(ctx, con)
	if err != nil {
		return err
	}
	if live != nil {
		defer live.Close()
	}
	in, err := cmd.open(ctx, cmd.Src, cmd.proofFlags)
	if err != nil {
		return err
	}
	defer in.Close()
	result, err := cmd.verify(ctx, con, in, cmd.Src, live)
	if err != nil {
		return err
	}
	return con.show(result)
}

// verify reads one image to its end. live is what it is compared with, or nil.
func (cmd *verifyCmd) verify(ctx context.Context, con *console, in *input, src string, live *engine.Snapshot) (
	*verifyResult, error) {
	size, err := in.ImageSize()
	if err != nil {
		return nil, readFault("verify", src, err)
	}
	info, proof := engine.Info{Level: engine.LevelNone}, evidence{}
	if cmd.needsImage() {
		info, proof, err = cmd.prove(ctx, con, in, src, live)
	} else {
		var head header
		_, err = io.Copy(io.Discard, con.progress.follow(io.TeeReader(in, &head), "reading", size))
		info.WAL = head.wal()
	}
	if err != nil {
		return nil, readFault("verify", src, err)
	}
	result := &verifyResult{
		Command: "verify", Source: path(src),
		verifyFields: verifyFieldsOf(in.Summary(), info.Level, info.WAL),
		CheckReason:  text(info.Reason), evidence: proof, Elapsed: since(in.opened),
	}
	con.warnOfCheck(src, info)
	result.warn(con)
	return result, nil
}

// readFault adds what was tried, and on which input.
func readFault(tried, source string, err error) error {
	return fmt.Errorf("%s %s: %w", tried, source, err)
}

// A header keeps the first bytes that are written to it.
type header []byte

func (h *header) Write(p []byte) (int, error) {
	const enough = 20
	if need := enough - len(*h); need > 0 {
		*h = append(*h, p[:min(need, len(p))]...)
	}
	return len(p), nil
}

// wal reports whether the image is in WAL mode:
// https://www.sqlite.org/fileformat2.html#file_format_version_numbers
func (h header) wal() bool { return len(h) > 19 && h[19] == 2 }

// verifyFields are what the results of verify and restore share.
type verifyFields struct {
	Format       string `json:"format"`
	SizeBytes    int64  `json:"size_bytes"`
	SHA256       string `json:"sha256"`
	StreamBytes  int64  `json:"stream_bytes"`
	StreamSHA256 string `json:"stream_sha256"`
	Trailer      bool   `json:"trailer"`
	Proven       bool   `json:"proven"`
	Check        string `json:"check"`   // when the stream was made, as its trailer says; "unknown" without one
	Checked      string `json:"checked"` // now
	JournalMode  string `json:"journal_mode"`
}

func verifyFieldsOf(sum stream.Summary, level engine.Level, wal bool) verifyFields {
	v := verifyFields{
		Format:       string(sum.Format),
		SizeBytes:    sum.ImageSize,
		SHA256:       sum.ImageSHA256.String(),
		StreamBytes:  sum.StreamSize,
		StreamSHA256: sum.StreamSHA256.String(),
		Trailer:      sum.Trailer,
		Proven:       sum.Proven,
		Check:        sum.Check,
		Checked:      string(level),
		JournalMode:  journalMode(wal),
	}
	if !sum.Trailer {
		v.Check = checkUnknown
		if sum.Format == stream.Raw {
			v.Format = string(formatImage)
		}
	}
	return v
}

// checkUnknown stands for the check of an image without a trailer.
const checkUnknown = "unknown"

func (v verifyFields) warn(con *console) {
	unchecked := v.Checked == string(engine.LevelNone)
	switch {
	case v.Proven && unchecked && v.Check == string(engine.LevelNone):
		con.warn("SQLite has never checked it: restore will, and may refuse it; --check does so now")
	case v.Proven:
	case unchecked:
		con.warn("no digest to compare with: damage would go unnoticed")
	default:
		con.warn("no digest to compare with: damage that SQLite's check does not see would go unnoticed")
	}
}

func (v verifyFields) describe() string {
	form := v.Format
	if form == string(stream.Raw) {
		form = "uncompressed stream"
	}
	if v.JournalMode == "wal" {
		form += ", WAL mode"
	}
	text := fmt.Sprintf("%s (%s)", humanize.IBytes(uint64(v.SizeBytes)), form)
	if v.Proven {
		text += ", length and SHA-256 match"
	} else {
		text += ", length matches, no digest"
	}
	if v.Checked != string(engine.LevelNone) {
		return text + ", " + checkedAs(v.Checked)
	}
	if v.Check != checkUnknown {
		return text + ", at backup time: " + checkedAs(v.Check)
	}
	return text
}

type verifyResult struct {
	Command string `json:"command"`
	Source  path   `json:"source"`
	verifyFields
	CheckReason text `json:"check_reason,omitempty"`
	evidence
	Elapsed millis `json:"elapsed_ms"`
}

func (r *verifyResult) lines() []string {
	lines := append([]string{fmt.Sprintf("%s: %s", r.Source, r.describe())}, r.evidence.lines()...)
	return append(lines, complete(written(r.Format, r.StreamBytes, r.SizeBytes), r.SHA256))
}
