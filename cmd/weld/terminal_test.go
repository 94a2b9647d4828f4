package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"weld/stream/run"
)

// The scripts run for less time than it takes until progress is shown; these tests look
// at what would be.

var halfway = run.Phase{Name: "fuse", Index: 2, Count: 4, Bytes: 3_000_000_000}

func TestProgressLines(t *testing.T) {
	var out strings.Builder
	show := progressLines(&out)
	show(run.Phase{}, 0, false) // nothing has begun
	show(halfway, 1_500_000_000, false)
	show(halfway, 3_000_000_000, true) // the result says that it is done
	if want := regexp.MustCompile(`^weld: 2/4 fuse: 1\.5 GB of 3\.0 GB, \d+s elapsed\n$`); !want.MatchString(out.String()) {
		t.Errorf("%q does not match %v", out.String(), want)
	}
}

func TestProgressJSON(t *testing.T) {
	var out strings.Builder
	show := progressJSON(&out)
	show(halfway, 1_500_000_000, false)
	show(halfway, 3_000_000_000, true)
	lines := strings.SplitAfter(out.String(), "\n")
	if len(lines) != 3 || lines[2] != "" {
		t.Fatalf("%q is not two lines", out.String())
	}
	for i, done := range []float64{1.5e9, 3e9} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		if line["step"] != "fuse" || line["index"] != 2.0 || line["count"] != 4.0 || line["done_bytes"] != done || line["total_bytes"] != 3e9 {
			t.Errorf("%s", lines[i])
		}
	}
}

// A bar is drawn in place and leaves nothing behind.
func TestProgressBar(t *testing.T) {
	var out strings.Builder
	show := progressBar(&out)
	show(run.Phase{}, 0, false)
	if out.Len() > 0 {
		t.Errorf("a bar before anything begins: %q", out.String())
	}
	show(halfway, 1_500_000_000, false)
	if s := out.String(); !strings.Contains(s, "2/4 fuse") || !strings.Contains(s, "50%") {
		t.Errorf("the bar shows neither step nor share: %q", s)
	}
	show(run.Phase{Name: "fuse", Index: 3, Count: 4, Bytes: 10}, 10, false)
	show(halfway, 3_000_000_000, true)
	if s := out.String(); strings.Contains(s, "\n") {
		t.Errorf("the bar leaves lines behind: %q", s)
	}
}
