package main

import "testing"

func TestWrappedLines(t *testing.T) {
	const text = "θ = Σᵢ wᵢ·θᵢ  /  Σᵢ wᵢ\n\nwhere  θᵢ are the models and wᵢ weights, whatever-they-are-called-by-others\nend"
	const want = "θ = Σᵢ wᵢ·θᵢ  /  Σᵢ wᵢ\n\nwhere θᵢ are the models\nand wᵢ weights,\nwhatever-they-are-called-by-others\nend\n"
	if got := wrappedLines(text, 23); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := wrapped("", 10); got != "" {
		t.Errorf("of nothing %q", got)
	}
}
