package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/plan"
)

// What is wrong with many tensors in one way is one line; each of few has its own, and so has what has
// another cause, another file, or another way out.
func TestCauses(t *testing.T) {
	problem := func(path, tensor, detail string) error {
		return &format.Error{Path: path, Tensor: tensor, Kind: format.KindMissing, Detail: detail}
	}
	var problems []error
	for i := range 100 {
		problems = append(problems, problem("m", fmt.Sprint("t", i), "model lacks the tensor"))
		if i < 3 {
			problems = append(problems, problem("n", fmt.Sprint("t", i), "model lacks the tensor"))
		}
		if i < 5 {
			problems = append(problems, problem("m", fmt.Sprint("s", i), fmt.Sprintf("has shape [%d 4] where [9 4] is expected", i+1)))
			problems = append(problems, fmt.Errorf("%w (there is a way out)", problem("m", fmt.Sprint("t", i), "model lacks the tensor")))
		}
	}
	problems = append(problems, errors.New("no space"), errors.New("no space"))
	want := []string{
		`m: 100 tensors ("t0", "t1", "t2", …): model lacks the tensor`,
		`n: tensor "t0": model lacks the tensor`, `n: tensor "t1": model lacks the tensor`, `n: tensor "t2": model lacks the tensor`,
		`m: 5 tensors ("s0", "s1", "s2", …), the first: has shape [1 4] where [9 4] is expected`,
		`m: 5 tensors ("t0", "t1", "t2", …): model lacks the tensor (there is a way out)`,
		"no space", "no space",
	}
	err := &plan.InputError{Problems: problems}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if format.KindOf(err) != format.KindMissing {
		t.Error("the problems are gone")
	}
}

// A name with what errors are made of around it is still a name.
func TestCausesOfOddNames(t *testing.T) {
	strange := "x\": y\n%s" + strings.Repeat("z", 300)
	one := fmt.Errorf("open: %w", &format.Error{Path: "m", Tensor: strange, Kind: format.KindShape, Detail: "wrong"})
	if got := (&plan.InputError{Problems: []error{one}}).Error(); got != one.Error() {
		t.Errorf("got %s, want %s", got, one)
	}
}
