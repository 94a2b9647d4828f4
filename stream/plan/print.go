package plan

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"

	"weld/stream/recipe"
)

// Lines print the plan, all that running it depends on and nothing else: a line for the method, for each input, for
// their vocabulary, for the output, its shards and its files, and for each tensor. Parameters that tensors share have a line
// before the first of them. The same recipe, inputs and version of weld give the same lines.
func (p *Plan) Lines() iter.Seq[string] {
	return func(yield func(string) bool) {
		l := &lister{Plan: p, yield: yield, known: make(map[uintptr]int)}
		l.line("method %s", p.Recipe.Method.Name)
		for i := range p.Opened {
			in := &p.Opened[i]
			l.line("input %d %s %q: %d tensors, %d bytes, %s", i, in.Role, in.Path, len(in.Tensors()), in.FileBytes(), in.fingerprint)
		}
		if v := p.vocabulary; v.rows > 0 {
			l.line("vocabulary of %d rows, %s", v.rows, v.digest)
		}
		l.output()
		for i := range p.Tensors {
			l.tensor(i)
		}
	}
}

// WriteTo writes the lines of the plan.
func (p *Plan) WriteTo(w io.Writer) (n int64, err error) {
	out := bufio.NewWriter(w)
	for line := range p.Lines() {
		wrote, err := out.WriteString(line + "\n")
		if n += int64(wrote); err != nil {
			return n, err
		}
	}
	return n, out.Flush()
}

// Digest identifies the plan: SHA-256 of its lines, in hexadecimal. Two plans of one digest write the same tensors, as
// far as fingerprints tell inputs apart (there are none where nothing is written); files that are carried have their
// names in it.
func (p *Plan) Digest() string {
	h := sha256.New()
	p.WriteTo(h) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

// Differences are the lines that only p has, with a "-" before them, and those that only the other plan has, with a
// "+". Of many, there are the first few and their number. Between plans of one digest there are none.
func (p *Plan) Differences(other *Plan) []string {
	return append(fewLines("- ", p.without(other)), fewLines("+ ", other.without(p))...)
}

// without are the lines that another plan does not have.
func (p *Plan) without(other *Plan) (lines []string) {
	has := make(map[string]bool)
	for line := range other.Lines() {
		has[line] = true
	}
	for line := range p.Lines() {
		if !has[line] {
			lines = append(lines, line)
		}
	}
	return lines
}

func fewLines(sign string, all []string) (lines []string) {
	for _, line := range all[:min(len(all), mostNames)] {
		lines = append(lines, sign+line)
	}
	if more := len(all) - mostNames; more > 0 {
		lines = append(lines, fmt.Sprintf("%sand %d more", sign, more))
	}
	return lines
}

// lister prints a plan.
type lister struct {
	*Plan
	yield func(string) bool
	ended bool
	known map[uintptr]int // numbers of parameters that have a line
}

func (l *lister) line(text string, args ...any) {
	l.ended = l.ended || !l.yield(fmt.Sprintf(text, args...))
}

// output prints where the tensors go, and what lies beside them.
func (l *lister) output() {
	out := l.Output
	if out == nil {
		return
	}
	l.line("output %q: %d bytes in %s", out.Path, out.Size, out.Container)
	for i, s := range l.Shards() {
		l.line("shard %d %q: %d bytes, header %x", i, s.Name, s.Size, out.headerDigest(i))
	}
	for _, f := range out.Files {
		if f.Carried && f.Content == nil {
			l.line("file %q: carried", f.Name)
		} else {
			l.line("file %q: %x", f.Name, sha256.Sum256(f.Content))
		}
	}
}

// tensor prints what becomes of a tensor.
func (l *lister) tensor(i int) {
	if l.ended {
		return
	}
	t := &l.Tensors[i]
	var b strings.Builder
	fmt.Fprintf(&b, "tensor %q %v %v:", t.Name, t.DType, t.Shape)
	if l.Output != nil {
		shard, offset := l.Output.where(i)
		fmt.Fprintf(&b, " at %d in shard %d,", offset, shard)
	}
	switch t.Action {
	case Beside:
		if _, index, copied := t.Original(); copied {
			fmt.Fprintf(&b, " a copy of %d of what is stored,", index)
		}
		l.line("%s beside what it belongs to", b.String())
		return
	case Encode:
		b.WriteString(" encoded,")
	case Copy:
		fmt.Fprintf(&b, " a copy of %s", l.operand(t.From, int(t.Index)))
		l.line("%s", b.String())
		return
	}
	fmt.Fprintf(&b, " by values %d from", l.values(t.Shared))
	if t.Base >= 0 {
		fmt.Fprintf(&b, " base %s", l.operand(t.Reference, int(t.Base)))
	}
	for k, c := range t.Models {
		from, at := l.Model(t, k)
		fmt.Fprintf(&b, " model %s by values %d", l.operand(from, at), l.values(c.Params))
		if c.Importance >= 0 {
			fmt.Fprintf(&b, " with importance %s", l.operand(l.Importance[c.Model], int(c.Importance)))
		}
	}
	if t.unknown {
		b.WriteString(" where importance is unknown")
	}
	l.line("%s", b.String())
}

// operand prints an input by its number, and the tensor's there.
func (l *lister) operand(in *Input, tensor int) string {
	for i := range l.Opened {
		if in == &l.Opened[i] {
			return fmt.Sprintf("%d:%d", i, tensor)
		}
	}
	return fmt.Sprintf("none:%d", tensor)
}

// values is the number of parameters, which are printed once.
func (l *lister) values(v recipe.Values) int {
	key := reflect.ValueOf(v).Pointer()
	if n, known := l.known[key]; known {
		return n
	}
	n := len(l.known)
	l.known[key] = n
	var list []string
	for _, p := range l.Recipe.Method.Params {
		x, has := v[p.Key]
		if !has {
			continue
		}
		switch p.Kind {
		case recipe.Number:
			list = append(list, fmt.Sprintf("%s=%v", p.Key, x.Number))
		case recipe.Bool:
			list = append(list, fmt.Sprintf("%s=%v", p.Key, x.Bool))
		default:
			list = append(list, fmt.Sprintf("%s=%q", p.Key, x.Text))
		}
	}
	slices.Sort(list)
	l.line("values %d: %s", n, strings.Join(list, " "))
	return n
}
