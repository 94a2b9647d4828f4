package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Columns are as wide as their widest cell, the last one but as it is, and nothing in a cell is hidden.
func TestColumns(t *testing.T) {
	rows := [][]string{{"a", "é.weight", "", "end"}, {"longer", "b\n", "", ""}, {"", "", "", "x"}}
	want := []string{
		"name    second      last",
		"a       é.weight    end",
		"longer  b\\n         ",
		"                    x",
	}
	var got bytes.Buffer
	table(&got, "name|second||last", rows)
	if got.String() != strings.Join(want, "\n")+"\n" {
		t.Errorf("got\n%q\nwant\n%q", got.String(), want)
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
		After string `json:"after"`
	}
	for n := range 4 {
		l := list{Path: "<a>\u202e", Items: []item{}, After: "\n  \"items\": []\u202e"}
		var got, want bytes.Buffer
		make := func(i int) any { return item{strings.Repeat("ü\u200b", i<<14), []int64{int64(i)}} }
		if err := printLongJSON(&got, l, "items", n, make); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			l.Items = append(l.Items, make(i).(item))
		}
		e := json.NewEncoder(escapedJSON{&want})
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(l); err != nil || got.String() != want.String() {
			t.Errorf("%d items: %v, %d bytes, want %d", n, err, got.Len(), want.Len())
		}
	}
}
