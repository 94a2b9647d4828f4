package moments

import (
	"bufio"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestOrders holds the order of parameters, and which of them have weight decay, to the models of transformers (moments_orders.py).
func TestOrders(t *testing.T) {
	file, err := os.Open("testdata/orders.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	models := make(map[string][]string)
	model := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, indented := strings.CutPrefix(lines.Text(), "  ")
		if !indented {
			model = name
			continue
		}
		name, without := strings.CutSuffix(name, " -")
		models[model] = append(models[model], name)
		if undecayed.MatchString(name) != without {
			t.Errorf("%s: %s: without weight decay: %v", model, name, without)
		}
	}
	var known []string
	for model, want := range models {
		known = append(known, model)
		names := slices.Clone(want)
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		if err := order(names, model); err != nil {
			t.Errorf("%s: %v", model, err)
		} else if !slices.Equal(names, want) {
			t.Errorf("%s: %q", model, names)
		}
	}
	if slices.Sort(known); !slices.Equal(known, types()) {
		t.Errorf("the types %v are known, tested are %v", types(), known)
	}
}
