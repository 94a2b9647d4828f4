package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A long table looks as a short one does.
func TestColumns(t *testing.T) {
	rows := [][]string{{"a", "é.weight", "", "end"}, {"longer", "b", "", ""}, {"", "", "", "x"}}
	for n := range len(rows) + 1 {
		var got, want bytes.Buffer
		if err := columns(&got, "name|second||last", n, func(i int) []string { return rows[i] }); err != nil {
			t.Fatal(err)
		}
		table(&want, "name|second||last", rows[:n])
		if got.String() != want.String() {
			t.Errorf("%d rows:\n%swant\n%s", n, got.String(), want.String())
		}
	}
	if err := columns(brokenPipe{}, "a|b", 1, func(int) []string { return rows[0][:2] }); err == nil {
		t.Error("an error of the writer is lost")
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("broken pipe") }

// JSON that is printed item by item is what it is in one piece.
func TestLongJSON(t *testing.T) {
	type item struct {
		Name  string  `json:"name"`
		Shape []int64 `json:"shape"`
	}
	type list struct {
		Path  string `json:"path"`
		Items []item `json:"items"`
	}
	for n := range 4 {
		l := list{Path: "<a>", Items: []item{}}
		var got, want bytes.Buffer
		make := func(i int) any { return item{strings.Repeat("x", i), []int64{int64(i)}} }
		if err := printLongJSON(&got, l, n, make); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			l.Items = append(l.Items, make(i).(item))
		}
		e := json.NewEncoder(&want)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(l); err != nil || got.String() != want.String() {
			t.Errorf("%d items: %v\n%swant\n%s", n, err, got.String(), want.String())
		}
	}
}
