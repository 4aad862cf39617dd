package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

type listCmd struct {
	Dir    string `arg:"" name:"dir" help:"The directory."`
	Name   string `placeholder:"DB" help:"List the copies of this database only: app.db, or app."`
	Verify bool   `help:"Read every copy, and prove that it is whole."`
}

func (*listCmd) Help() string {
	return `Lists the copies that backup DB DIR/ has made, the oldest first: name, time, size, the level of SQLite's
check at backup time ("unknown" for plain files, which do not record it), and whether the copy is proven. Without
--verify no copy is read: "not read" has a digest that can prove it, "no digest" has none.

  sqlite-checkpoint list --verify /backup`
}

// Run is the command.
func (cmd *listCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	if cmd.Dir == "" {
		return usagef("DIR is empty")
	}
	dir, err := openCopies(cmd.Dir, cmd.Name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if cmd.Verify {
		if err := dir.prove(ctx, con); err != nil {
			return err
		}
	}
	result := listResult{Command: "list", Directory: path(cmd.Dir), Verified: cmd.Verify, Copies: []listedCopy{}}
	for _, c := range dir.copies {
		result.Copies = append(result.Copies, listed(c))
	}
	result.Elapsed = since(start)
	if err := con.show(&result); err != nil {
		return err
	}
	return dir.damage("list")
}

// damage returns an error if copies do not match their digests or, failing that, if this user may
// not read some. It names the newest.
func (d *copyDir) damage(command string) error {
	var damaged, forbidden []*datedCopy
	for _, c := range d.copies {
		switch {
		case c.forbidden():
			forbidden = append(forbidden, c)
		case c.problem != nil && c.hasDigest():
			damaged = append(damaged, c)
		}
	}
	switch {
	case len(damaged) > 0:
		newest := damaged[len(damaged)-1]
		err := fmt.Errorf("%s %s: %s not whole: %s: %w", command, d.Path(),
			plural(len(damaged), "copy is", "copies are"), newest.Name, newest.problem)
		return &fault{kind: kindDamagedCopies, err: err}
	case len(forbidden) > 0:
		newest := forbidden[len(forbidden)-1]
		err := fmt.Errorf("%s %s: %s cannot be read: %w", command, d.Path(),
			plural(len(forbidden), "copy", "copies"), newest.problem)
		return &fault{kind: engine.KindUnreadable, err: err, hint: readAsOwner}
	}
	return nil
}

// moreSerious returns the more serious error: damage rather than a file that this user may not
// read. Both may be nil.
func moreSerious(a, b error) error {
	if a == nil || b != nil && classify(a).code == exitSource && classify(b).code != exitSource {
		return b
	}
	return a
}

// A listedCopy is what is known about a copy.
type listedCopy struct {
	Name      path      `json:"name"`
	Database  path      `json:"database"`
	Time      time.Time `json:"time"`
	SizeBytes int64     `json:"size_bytes"`
	Format    string    `json:"format"`
	Check     string    `json:"check"`  // when the copy was made, from its trailer; empty without one
	Digest    bool      `json:"digest"` // there is one
	Proven    *bool     `json:"proven"` // null if it was not read
	Problem   text      `json:"problem,omitempty"`
}

func listed(c *datedCopy) listedCopy {
	l := listedCopy{
		Name: path(c.Name.String()), Database: path(c.Database), Time: c.Time, SizeBytes: c.info.Size(),
		Format: string(formatImage), Check: c.claims.Check, Digest: c.hasDigest(),
	}
	if c.claims.Trailer {
		l.Format = string(c.claims.Format)
	}
	if c.proven || c.problem != nil {
		l.Proven = &c.proven
	}
	if c.problem != nil {
		l.Problem = text(c.problem.Error())
	}
	return l
}

// state says whether the copy is proven.
func (l listedCopy) state() string {
	switch {
	case l.Problem != "":
		return "NOT PROVEN: " + string(l.Problem)
	case l.Proven != nil:
		return "proven"
	case l.Digest:
		return "not read"
	}
	return "no digest"
}

type listResult struct {
	Command   string       `json:"command"`
	Directory path         `json:"directory"`
	Verified  bool         `json:"verified"`
	Copies    []listedCopy `json:"copies"`
	Elapsed   millis       `json:"elapsed_ms"`
}

func (r *listResult) lines() []string {
	width := 0
	for _, c := range r.Copies {
		width = max(width, len(printable(string(c.Name))))
	}
	var lines []string
	for _, c := range r.Copies {
		when := c.Time.Local().Format("2006-01-02 15:04:05 -0700")
		lines = append(lines, fmt.Sprintf("%-*s  %s  %10s  %-10s  %s", width, printable(string(c.Name)), when,
			humanize.IBytes(uint64(c.SizeBytes)), cmp.Or(c.Check, checkUnknown), c.state()))
	}
	return append(lines, fmt.Sprintf("%s: %s", r.Directory, plural(len(r.Copies), "copy", "copies")))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + many
}
