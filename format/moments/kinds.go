package moments

import (
	"regexp"
	"slices"
	"strings"
)

// This file knows by which names optimizers keep what they keep of a parameter: torch.optim of torch 2.15, transformers 5.23, bitsandbytes.

// averaged are means of squares that fade by a factor at each step, and begin at zero, or at the first square.
var averaged = []string{
	"exp_avg_sq", // Adam and its kin; of vectors, Adafactor of transformers. AMSGrad has its greatest value beside it (max_exp_avg_sq), which is no mean
	"square_avg", // RMSprop, Adadelta
	"variance",   // torch's Adafactor, of vectors
}

// summed is Adagrad's: the sum of all squares, from where it began.
const summed = "sum"

// factors are those of Adafactor: means over rows and over columns, of transformers and of torch.
var factors = [][2]string{{"exp_avg_sq_row", "exp_avg_sq_col"}, {"row_var", "col_var"}}

// differences tell Adan: its squares are of gradients and their differences.
const differences = "exp_avg_diff"

// without are what optimizers keep that have no second moment, and why; the first that a parameter has says it.
var without = []struct{ kind, why string }{
	{"exp_inf", "Adamax keeps the greatest magnitudes (exp_inf), which are no means of squares"},
	{"prev", "Rprop keeps signs and sizes of steps (prev)"},
	{"ax", "ASGD keeps means of weights (ax)"},
	{"momentum_buffer", "SGD and Muon keep a momentum alone (momentum_buffer)"},
	{"state1", "8-bit optimizers with one state do not say whether it is a momentum (state1)"},
	{"exp_avg", "Lion keeps a momentum alone (exp_avg)"},
	{"step", "only the number of steps is kept"},
}

// kinds are all that is looked for.
var kinds = kindsOf()

func kindsOf() []string {
	list := slices.Clone(averaged)
	list = append(list, summed, differences, "state2", "absmax2", "qmap2") // the last three are bitsandbytes'
	for _, f := range factors {
		list = append(list, f[:]...)
	}
	for _, w := range without {
		list = append(list, w.kind)
	}
	return list
}

// partOf takes the name of a tensor apart: in which optimizer, whose it is, and what. Accelerate puts those of bitsandbytes one deeper.
func partOf(name string) (of, key, kind string, ok bool) {
	end := strings.LastIndexByte(name, '.')
	if end < 0 {
		return "", "", "", false
	}
	key, kind = strings.TrimSuffix(name[:end], ".__bnb_optimizer_quant_state__"), name[end+1:]
	at := 0
	if !strings.HasPrefix(key, "state.") {
		if at = strings.Index(key, ".state."); at < 0 {
			return "", "", "", false
		}
		at++
	}
	for _, k := range kinds {
		if k == kind {
			return strings.TrimSuffix(key[:at], "."), key[min(at+len("state."), len(key)):], kind, key[at:] != "state."
		}
	}
	return "", "", "", false
}

// rotated is what SOAP and Shampoo keep: their second moments are in the basis of these matrices, and no parameter's.
var rotated = regexp.MustCompile(`(?:^|\.)state\..+\.(?:GG|Q)(?:\.\d+)?$`)

// kept is a tensor that a parameter has of any of some kinds.
func (p param) kept(of ...string) (i int, ok bool) {
	for _, kind := range of {
		if i, ok = p.parts[kind]; ok {
			return i, true
		}
	}
	return 0, false
}

// factors are the two of a parameter, in whichever names; paired is false where one is not there.
func (p param) factors() (r, c int, any, paired bool) {
	for _, f := range factors {
		r, hasRows := p.parts[f[0]]
		c, hasCols := p.parts[f[1]]
		if hasRows || hasCols {
			return r, c, true, hasRows && hasCols
		}
	}
	return 0, 0, false, false
}

// why says why there is no second moment of a parameter.
func (p param) why() string {
	for _, w := range without {
		if _, ok := p.parts[w.kind]; ok {
			return w.why
		}
	}
	return "its optimizer keeps none"
}
