package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// An Edition is what all pages have in common.
type Edition struct {
	Version    string
	Date       string // YYYY-MM-DD
	ExitStatus string // a table under a heading
}

// Pages are the manual pages of section 1 in the language of man(7), by file name: one of the
// program, and one of each command.
func Pages(app *kong.Application, edition Edition) map[string]string {
	all, program := commands(app), describe(app.Node)
	pages := map[string]string{app.Name + ".1": programPage(app, all, program.Flags, edition)}
	for _, c := range all {
		name := app.Name + "-" + c.Name
		var p page
		p.title(name, edition, c.Help)
		p.command(app.Name, c)
		p.flags(program.Flags)
		p.exitStatus(edition.ExitStatus)
		p.section("SEE ALSO")
		p.line(bold(app.Name) + "(1)")
		pages[name+".1"] = p.String()
	}
	return pages
}

// programPage is the page of the program itself.
func programPage(app *kong.Application, all []command, common []flag, edition Edition) string {
	var p page
	p.title(app.Name, edition, app.Help)
	p.synopsis(app.Name, "COMMAND ...")
	p.section("COMMANDS")
	var others []string
	for _, c := range all {
		name := app.Name + "-" + c.Name
		p.item(bold(c.Name)+" "+escape(arguments(c)), c.Help+" See "+name+"(1).")
		others = append(others, bold(name)+"(1)")
	}
	p.section("FLAGS OF EVERY COMMAND")
	p.flags(common)
	p.exitStatus(edition.ExitStatus)
	p.section("SEE ALSO")
	p.line(strings.Join(append(others, bold(app.Name+"-stream")+"(5)"), ",\n"))
	return p.String()
}

// command is what only the page of c says.
func (p *page) command(program string, c command) {
	p.synopsis(program, c.usage()...)
	if len(c.Aliases) > 0 {
		p.line(".PP")
		p.line(escape("It is also called " + strings.Join(c.Aliases, ", ") + "."))
	}
	if c.Detail != "" {
		p.section("DESCRIPTION")
		p.paragraphs(c.Detail)
	}
	p.section("ARGUMENTS AND FLAGS")
	for _, arg := range c.Args {
		p.item(bold(arg.Name), arg.Help)
	}
	p.flags(c.Flags)
}

func arguments(c command) string {
	var words []string
	for _, arg := range c.Args {
		word := arg.Name
		if arg.Optional {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// A page is a manual page while it is written.
type page struct{ strings.Builder }

func (p *page) line(text string) { p.WriteString(text + "\n") }

func (p *page) section(name string) { p.line(".SH " + name) }

func (p *page) title(name string, edition Edition, help string) {
	source := escape("sqlite-checkpoint " + edition.Version)
	p.line(fmt.Sprintf(`.TH %s 1 "%s" "%s"`, escape(strings.ToUpper(name)), edition.Date, source))
	p.section("NAME")
	p.line(escape(name) + ` \- ` + escape(strings.TrimSuffix(help, ".")))
}

func (p *page) synopsis(program string, forms ...string) {
	p.section("SYNOPSIS")
	for i, form := range forms {
		if i > 0 {
			p.line(".br")
		}
		p.line(bold(program) + " " + escape(form))
	}
}

// paragraphs writes paragraphs that are separated by empty lines; an indented one is an example.
func (p *page) paragraphs(text string) {
	for i, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		if !strings.HasPrefix(block, " ") {
			p.line(escape(strings.ReplaceAll(block, "\n", " ")))
			continue
		}
		p.line(".RS 4\n.EX")
		for line := range strings.SplitSeq(block, "\n") {
			p.line(escape(strings.TrimPrefix(line, "  ")))
		}
		p.line(".EE\n.RE")
	}
}

func (p *page) item(term, text string) {
	p.line(".TP\n" + term)
	p.line(escape(text))
}

func (p *page) flags(flags []flag) {
	for _, f := range flags {
		var words []string
		for _, spelling := range f.Spellings() {
			words = append(words, bold(spelling))
		}
		term := strings.Join(words, ", ")
		if f.Value != "" {
			term += `=\fI` + escape(f.Value) + `\fP`
		}
		p.item(term, f.Help)
	}
}

func (p *page) exitStatus(table string) {
	p.section("EXIT STATUS")
	_, rows, _ := strings.Cut(table, "\n")
	p.line(".EX")
	for row := range strings.SplitSeq(strings.TrimRight(rows, "\n"), "\n") {
		p.line(escape(row))
	}
	p.line(".EE")
}

func bold(text string) string { return `\fB` + escape(text) + `\fP` }

// escape makes text stand for itself: see groff(7), escape sequences and control characters.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
