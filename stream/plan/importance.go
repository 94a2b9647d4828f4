package plan

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"weld/format"
	"weld/format/open"
	"weld/scoring"
)

// This file finds out what an importance file holds. Weights have the names and shapes of an importance file, too, and would rank a model's
// elements without a word: a file that does not say what it is is looked into.

// statisticOf says what an importance file holds: the recipe's word, the file's own,
// or the default.
func statisticOf(s *Input, told string) (scoring.Statistic, error) {
	if told == "" {
		told = format.Metadata(s.Checkpoint)[scoring.StatisticKey]
	}
	if told == "" {
		return scoring.MeanAbsGrad, nil
	}
	statistic, err := scoring.ParseStatistic(told)
	if err != nil {
		return 0, &format.Error{Path: s.Path, Kind: format.KindMetadata, Detail: scoring.StatisticKey, Err: err}
	}
	return statistic, nil
}

// checkImportance refuses what is no importance, as far as what is known of an input tells.
func (p *planner) checkImportance() (problems []error) {
	var silent []string
	for i, file := range p.Importance {
		if file == nil || format.Metadata(file.stored)[scoring.StatisticKey] != "" {
			continue
		}
		told := p.Recipe.Models[i].Params.Text("statistic")
		if err := p.noWeights(file, told); err != nil {
			problems = append(problems, err)
		} else if told == "" {
			silent = appendNew(silent, []string{file.Path})
		}
	}
	p.noteSilent(silent)
	p.noteShared()
	return problems
}

// noteShared says that one importance file, given once, serves several models: it may be that of one, and the others' forgotten.
func (p *planner) noteShared() {
	if len(p.Models) < 2 || slices.Contains(p.Importance, nil) {
		return
	}
	for _, m := range p.Recipe.Models {
		if m.Params["importance"].Where.OfModel || m.Params.Text("importance") != p.Recipe.Models[0].Params.Text("importance") {
			return
		}
	}
	p.Notes = append(p.Notes, fmt.Sprintf("%s: given once, it is the importance of all %d models; if each has a file of its own, give one for each, in the order of the models", p.Importance[0].Path, len(p.Models)))
}

// noteSilent says once for what importance files are taken that do not say what they hold.
func (p *planner) noteSilent(paths []string) {
	const named = 3
	files, says := strings.Join(paths[:min(len(paths), named)], ", "), "it says what it holds"
	switch n := len(paths) - named; {
	case len(paths) == 0:
		return
	case n > 0:
		files += fmt.Sprintf(" and %d more", n)
	}
	if len(paths) > 1 {
		says = "them says what they hold"
	}
	p.Notes = append(p.Notes, fmt.Sprintf("%s: nothing in %s (%s): taken for %v; the parameter statistic says otherwise", files, says, scoring.StatisticKey, scoring.MeanAbsGrad))
}

// noWeights refuses the weights that are merged, unless the recipe says that they are scores, and values below zero where nobody says what
// they are: half of all weights are, and no mean of magnitudes or squares is.
func (p *planner) noWeights(file *Input, told string) error {
	refused := func(tensor, text string, args ...any) error {
		return &format.Error{Path: file.Path, Tensor: tensor, Kind: format.KindUnsupported, Detail: fmt.Sprintf(text, args...)}
	}
	if told != scoring.Finished.String() {
		if same, ok := p.isMerged(file); ok {
			return refused("", "these are the weights of %s, and no importance of them: name a file of gradients, or what an optimizer left; statistic: score ranks by the weights themselves", same)
		}
	}
	if told != "" {
		return nil
	}
	tensor, x, err := negative(file.stored)
	if err != nil || tensor == "" {
		return err
	}
	return refused(tensor, "it holds %g, and means of magnitudes are not negative: these may be weights. If they are means of gradients, say so: statistic: mean_grad (or score, if they are scores)", x)
}

// isMerged names the base or the model whose files an input was read from; state dicts of one file, named behind a #, are not the same.
func (p *planner) isMerged(file *Input) (path string, ok bool) {
	_, key := open.Apart(file.Path)
	for _, in := range append([]*Input{p.Base}, p.Models...) {
		if in == nil {
			continue
		}
		same := func(a, b format.InputFile) bool { return os.SameFile(a.Info, b.Info) }
		if _, of := open.Apart(in.Path); of == key && len(in.Files()) > 0 && slices.EqualFunc(in.Files(), file.Files(), same) {
			return in.Path, true
		}
	}
	return "", false
}

// negative finds a value below zero in samples of a checkpoint's tensors: matrices, where it has any, since norms are often positive.
func negative(c format.Checkpoint) (tensor string, x float64, err error) {
	var matrices, others []int
	for i, t := range c.Tensors() {
		switch {
		case !t.Computable() || t.Bytes() == 0:
		case len(t.Shape) > 1:
			matrices = append(matrices, i)
		default:
			others = append(others, i)
		}
	}
	if matrices == nil {
		matrices = others
	}
	samples := min(len(matrices), fingerprintTensors)
	for k := range samples {
		i := matrices[k*len(matrices)/samples]
		if x, err = negativeIn(c, i); err != nil || x < 0 {
			return c.Tensors()[i].Name, x, err
		}
	}
	return "", 0, nil
}

// negativeIn is the first value below zero in the middle of a tensor; 0 for none.
func negativeIn(c format.Checkpoint, i int) (float64, error) {
	values, err := middle(c, i)
	for _, x := range values {
		if x < 0 && !math.IsInf(x, -1) { // what is not finite is told of by itself
			return x, err
		}
	}
	return 0, err
}
