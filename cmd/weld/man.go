package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/recipe"
)

func manCommand() *cli.Command {
	return &cli.Command{
		Name:        "man",
		Usage:       "print the manual page",
		Description: "Examples:\n\n   weld man > weld.1\n   weld man | man -l -\n\n" + exitHelp,
		Hidden:      true, // for those who build packages
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("no argument is expected: weld man")
			}
			_, err := fmt.Fprint(c.App.Writer, manual(newApp(c.App.Writer, c.App.ErrWriter, invocation{})))
			return err
		},
	}
}

// manual is the manual page of a program: what its help says, with the keys of all methods.
func manual(app *cli.App) string {
	var page roff
	page.request("TH", strings.ToUpper(app.Name), "1", "", app.Name+" "+app.Version, "User Commands")
	page.line(".ad l") // the lists of methods leave nothing to stretch
	page.request("SH", "NAME")
	page.line(app.Name + ` \- ` + escape(app.Usage))
	page.request("SH", "SYNOPSIS")
	page.request("B", app.Name)
	page.line(`\fICOMMAND\fR [\fIOPTIONS\fR] \fIARGUMENTS\fR`)
	page.request("SH", "DESCRIPTION")
	page.text(withoutExitHelp(app.Description))
	page.request("SH", "COMMANDS")
	page.text("Options may stand before, between and behind the arguments; what follows -- is none.")
	for _, c := range app.Commands {
		if !c.Hidden {
			page.command(app.Name, c)
		}
	}
	page.request("SH", "HOW IT IS RUN")
	page.text("Options of the commands that walk checkpoints.")
	page.flags(runFlags())
	page.methods()
	page.request("SH", "EXIT STATUS")
	page.text(strings.TrimPrefix(exitHelp, "Exit status: "))
	return page.String()
}

// withoutExitHelp is a description without what the page says once, in a section of its own.
func withoutExitHelp(text string) string { return strings.TrimSuffix(text, exitHelp) }

// roff is a manual page in the language of man(7).
type roff struct{ strings.Builder }

// request writes a request or a macro with its arguments.
func (r *roff) request(name string, args ...string) {
	r.WriteString("." + name)
	for _, arg := range args {
		r.WriteString(` "` + strings.ReplaceAll(escape(arg), `"`, `\(dq`) + `"`)
	}
	r.WriteByte('\n')
}

// line writes one line of text that is escaped already.
func (r *roff) line(text string) { r.WriteString(text + "\n") }

// text writes paragraphs as help texts have them: those that are indented are printed as they are.
func (r *roff) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			r.request("PP")
		}
		if strings.HasPrefix(paragraph, "   ") {
			r.literal(strings.ReplaceAll(strings.TrimPrefix(paragraph, "   "), "\n   ", "\n"))
			continue
		}
		for line := range strings.Lines(paragraph) {
			r.line(escape(strings.TrimSuffix(line, "\n")))
		}
	}
}

// literal writes what keeps its line ends and spaces.
func (r *roff) literal(text string) {
	r.request("RS", "4")
	r.request("nf")
	for line := range strings.Lines(text) {
		r.line(escape(strings.TrimSuffix(line, "\n")))
	}
	r.request("fi")
	r.request("RE")
}

// item writes a term and what it means.
func (r *roff) item(term, text string) {
	r.request("TP")
	r.request("B", term)
	r.line(escape(text))
}

// command writes what the help of a command says.
func (r *roff) command(program string, c *cli.Command) {
	r.request("SS", strings.TrimSpace(program+" "+c.Name+" "+c.ArgsUsage))
	r.text(strings.ToUpper(c.Usage[:1]) + c.Usage[1:] + ".\n\n" + withoutExitHelp(c.Description))
	var own []cli.Flag
	shared := 0
	for _, f := range c.Flags {
		switch {
		case isRunFlag(f):
			shared++
		case f.(cli.VisibleFlag).IsVisible():
			own = append(own, f)
		}
	}
	r.flags(own)
	if shared == len(runFlags()) {
		r.request("PP")
		r.line("Options under HOW IT IS RUN, too.")
	}
}

// isRunFlag reports a flag that every command has which walks checkpoints.
func isRunFlag(f cli.Flag) bool {
	categorized, ok := f.(cli.CategorizableFlag)
	return ok && categorized.GetCategory() == categoryRun
}

func (r *roff) flags(flags []cli.Flag) {
	for _, f := range flags {
		names, usage, _ := strings.Cut(f.String(), "\t")
		names, _, _ = strings.Cut(names, " [ ") // that it may be given several times, the text says
		r.item(names, usage)
	}
}

// methods writes what each method computes and takes. Keys that are the same in all stand at the top.
func (r *roff) methods() {
	r.request("SH", "METHODS")
	r.text("A recipe gives keys to its method; as options they have - for _. All methods have these:")
	everywhere := make(map[string]bool)
	for _, k := range allKeys() {
		if k.same && k.all {
			everywhere[k.Key] = true
			r.key(k.Param)
		}
	}
	for _, m := range stream.Schema() {
		r.request("SS", m.Name)
		r.text(methodSentence(&m))
		if m.Formula != "" {
			r.request("PP")
			r.literal(wrappedLines(m.Formula, helpWidth))
		}
		for _, p := range m.Params {
			if !everywhere[p.Key] {
				r.key(p)
			}
		}
	}
}

// methodSentence says what a method does and needs.
func methodSentence(m *recipe.MethodSchema) string {
	text := strings.ToUpper(m.Summary[:1]) + m.Summary[1:]
	if m.Source != "" {
		text += " (" + m.Source + ")"
	}
	text += fmt.Sprintf(". Base %s: %s. Models: %s.", needWords[m.Base], baseRoles[m.BaseIs].help, modelCount(m))
	if need := importanceOf(m); need != "none" {
		text += " Importance files are " + need + "."
	}
	return text
}

func (r *roff) key(p recipe.Param) { r.item(p.Key, p.Help+"; "+keyFacts(p)+".") }

// escape makes plain text of what roff would take for its own: backslashes, hyphens, which it would print as such, and
// control characters at the beginning of a line.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
