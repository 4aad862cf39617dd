package manual

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// grammar has one of everything that a manual page shows.
type grammar struct {
	Copy copyCmd  `cmd:"" aliases:"cp,dup" help:"Copy a file."`
	Run  runCmd   `cmd:"" help:"Run a command."`
	Help struct{} `cmd:"" help:"Show help."`
	JSON bool     `name:"json" help:"Print JSON."`
}

type copyCmd struct {
	Src   string   `arg:"" help:"The file."`
	Dest  string   `arg:"" optional:"" help:"The copy."`
	Cmd   []string `arg:"" optional:"" help:"A command."`
	Level string   `short:"l" placeholder:"N" values:"fast,best" help:"The level."`
	Into  string   `placeholder:"DIR" help:"Where."`
	Force bool     `short:"f" help:"Don't ask."`
	Trick bool     `hidden:""`
}

func (copyCmd) Help() string {
	return "First\nparagraph.\n\n  example -x\n    indented\n\n.second ^`~\\'paragraph."
}

type runCmd struct {
	Path string   `arg:"" help:"A file."`
	Cmd  []string `arg:"" passthrough:"partial" help:"After --."`
}

func (*copyCmd) Run() error { return nil }
func (*runCmd) Run() error  { return nil }

const copyPage = `.TH TOOL\-COPY 1 "2026-01-02" "sqlite\-checkpoint 1.0"
.SH NAME
tool\-copy \- Copy a file
.SH SYNOPSIS
\fBtool\fP copy [flags] SRC [DEST]
.br
\fBtool\fP copy \-\-from\-command [flags] DEST \-\- CMD...
.PP
It is also called cp, dup.
.SH DESCRIPTION
First paragraph.
.PP
.RS 4
.EX
example \-x
  indented
.EE
.RE
.PP
\&.second \(ha\(ga\(ti\e\(aqparagraph.
.SH ARGUMENTS AND FLAGS
.TP
\fBSRC\fP
The file.
.TP
\fBDEST\fP
The copy.
.TP
\fBCMD...\fP
A command.
.TP
\fB\-\-level\fP, \fB\-l\fP=\fIN\fP
The level.
.TP
\fB\-\-into\fP=\fIDIR\fP
Where.
.TP
\fB\-\-force\fP, \fB\-f\fP
Don\(aqt ask.
.TP
\fB\-\-help\fP, \fB\-h\fP
Show context\-sensitive help.
.TP
\fB\-\-json\fP
Print JSON.
.SH EXIT STATUS
.EX
  0  done
  1  else
.EE
.SH SEE ALSO
\fBtool\fP(1)
`

const programPageWant = `.TH TOOL 1 "2026-01-02" "sqlite\-checkpoint 1.0"
.SH NAME
tool \- Does things
.SH SYNOPSIS
\fBtool\fP COMMAND ...
.SH COMMANDS
.TP
\fBcopy\fP SRC [DEST] [CMD...]
Copy a file. See tool\-copy(1).
.TP
\fBrun\fP PATH CMD...
Run a command. See tool\-run(1).
.TP
\fBhelp\fP 
Show help. See tool\-help(1).
.SH FLAGS OF EVERY COMMAND
.TP
\fB\-\-help\fP, \fB\-h\fP
Show context\-sensitive help.
.TP
\fB\-\-json\fP
Print JSON.
.SH EXIT STATUS
.EX
  0  done
  1  else
.EE
.SH SEE ALSO
\fBtool\-copy\fP(1),
\fBtool\-run\fP(1),
\fBtool\-help\fP(1),
\fBtool\-stream\fP(5)
`

func parsed(t *testing.T) *kong.Application {
	t.Helper()
	k, err := kong.New(&grammar{}, kong.Name("tool"), kong.Description("Does things."))
	if err != nil {
		t.Fatal(err)
	}
	return k.Model
}

func TestPages(t *testing.T) {
	pages := Pages(parsed(t), Edition{"1.0", "2026-01-02", "Exit status:\n  0  done\n  1  else\n"})
	for name, want := range map[string]string{"tool-copy.1": copyPage, "tool.1": programPageWant} {
		if got := pages[name]; got != want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	if !strings.Contains(pages["tool-run.1"], "\\fBtool\\fP run [flags] PATH \\-\\- CMD...\n.SH ARGUMENTS") {
		t.Errorf("tool-run.1:\n%s", pages["tool-run.1"])
	}
	if len(pages) != 4 {
		t.Errorf("%d pages", len(pages))
	}
}

// TestDescription: what the completion scripts are made from.
func TestDescription(t *testing.T) {
	c := commands(parsed(t))[0]
	if c.RunsCMD || !commands(parsed(t))[1].RunsCMD || !c.Args[2].Many() || c.Args[1].Many() || c.Args[0].Optional {
		t.Errorf("%+v", c)
	}
	if !slices.Equal(c.Names(), []string{"copy", "cp", "dup"}) || spellings(c.Flags) != "--level -l --into --force -f" {
		t.Errorf("%q, %s", c.Names(), spellings(c.Flags))
	}
	for i, want := range []struct {
		value  string
		values int
		path   bool
	}{{"N", 2, false}, {"DIR", 0, true}, {"", 0, false}} {
		if f := c.Flags[i]; f.Value != want.value || len(f.Values) != want.values || f.TakesPath() != want.path {
			t.Errorf("%+v, want %+v", f, want)
		}
	}
	for value, want := range map[string]bool{"FILE": true, "DIR": true, "FILE.prom": true, "DB": false, "": false} {
		if (flag{Value: value}).TakesPath() != want {
			t.Errorf("%s is a path: %v", value, !want)
		}
	}
	if got := quote("don't"); got != `'don'\''t'` {
		t.Error(got)
	}
	if got := zshQuote(`a\[b]:c'd`); got != `a\\\[b\]\:c'\''d` {
		t.Error(got)
	}
}
