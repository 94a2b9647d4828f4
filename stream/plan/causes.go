package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"weld/format"
)

// A model of another size, or one whose names are others, is wrong in all of its tensors at once. What is
// to be said of many tensors for one reason is said once, with three of them and their number: errors by
// [InputError], notes by [Plan.noteTensor], names by [fewNames].

// mostNames is how many tensors are named where more have the same cause.
const mostNames = 3

// fewNames lists names as a message has them: all where they are few, else three and their number.
func fewNames(names []string) string {
	if len(names) <= mostNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), len(names)-mostNames)
}

// remark is a line about one tensor of a file, an error or a note, in its parts:
// before + path: tensor "…": text. Only text is there where it is about no tensor.
type remark struct{ before, path, tensor, text string }

func (r remark) String() string {
	if r.tensor == "" {
		return r.text
	}
	return r.before + (&format.Error{Path: r.path, Tensor: r.tensor, Detail: r.text}).Error()
}

// sizes are what differs between lines that have one cause: shapes, counts of bytes.
var sizes = regexp.MustCompile(`\[[0-9 ]*\]|\b[0-9]+ bytes`)

// cause is what remarks with the same reason have in common.
func (r remark) cause() remark {
	text := r.text
	if strings.ContainsAny(text, "0123456789") { // a million tensors may have one cause
		text = sizes.ReplaceAllString(text, "[]")
	}
	return remark{before: r.before, path: r.path, text: text}
}

// remarkOf takes an error apart.
func remarkOf(err error) remark {
	var of *format.Error
	if !errors.As(err, &of) || of.Tensor == "" {
		return remark{text: err.Error()}
	}
	before, after, found := strings.Cut(err.Error(), of.Error())
	if !found {
		return remark{text: err.Error()}
	}
	rest := *of
	rest.Path, rest.Tensor = "", ""
	return remark{before, of.Path, of.Tensor, strings.TrimPrefix(rest.Error(), ": ") + after}
}

// byCause makes a line of each remark, and one line of those that have one cause, if they are many. Causes
// stay in the order in which they occur first.
func byCause(all []remark) (lines []string) {
	alike := make(map[remark][]remark)
	var order []remark
	for _, r := range all {
		key := r
		if r.tensor != "" {
			key = r.cause()
		}
		if _, known := alike[key]; !known {
			order = append(order, key)
		}
		alike[key] = append(alike[key], r)
	}
	for _, key := range order {
		if group := alike[key]; len(group) > mostNames && group[0].tensor != "" {
			lines = append(lines, summed(group))
			continue
		}
		for _, r := range alike[key] {
			lines = append(lines, r.String())
		}
	}
	return lines
}

// summed is the line for many tensors with one cause.
func summed(group []remark) string {
	first := group[0]
	var names []string
	same := true
	for i, r := range group {
		if i < mostNames {
			names = append(names, strconv.Quote(r.tensor))
		}
		same = same && r.text == first.text
	}
	which := ""
	if !same {
		which = ", the first"
	}
	return fmt.Sprintf("%s%s: %d tensors (%s, …)%s: %s", first.before, first.path, len(group), strings.Join(names, ", "), which, first.text)
}

// noteTensor notes something of one tensor of a file. Many with one cause become one note.
func (p *planner) noteTensor(path, tensor, text string, args ...any) {
	p.remarks = append(p.remarks, remark{path: path, tensor: tensor, text: fmt.Sprintf(text, args...)})
}

// noteProblem notes what would be an error if the recipe did not say what to do; like noteTensor.
func (p *planner) noteProblem(err error) { p.remarks = append(p.remarks, remarkOf(err)) }

// noteRemarks puts what was noted of single tensors among the notes.
func (p *planner) noteRemarks() {
	p.Notes = append(p.Notes, byCause(p.remarks)...)
	p.remarks = nil
}
