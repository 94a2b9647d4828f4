package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// fakeCache makes a Hub cache with one model, "own/model", as the Hub's client does:
// refs name commits, a snapshot is a directory for each.
func fakeCache(t *testing.T) string {
	t.Helper()
	cache := t.TempDir()
	repo := filepath.Join(cache, "models--own--model")
	for name, data := range map[string]string{
		"refs/main":                               commit,
		"refs/v1.0":                               "aaaa\n", // the client writes no line end, a person may
		"refs/refs/pr/7":                          "bbbb",
		"refs/gone":                               "cccc", // its snapshot was deleted
		"refs/evil":                               "../../../elsewhere",
		"refs/absolute":                           "/etc",
		"refs/dot":                                ".",
		"refs/empty":                              "",
		"snapshots/" + commit + "/config.json":    "{}",
		"snapshots/aaaa/config.json":              "{}",
		"snapshots/bbbb/config.json":              "{}",
		"snapshots/plain-file":                    "",
		"../models--own--no-snapshots/refs/main":  commit,
		"../models--own--no-refs/snapshots/f00/x": "",
		"../elsewhere/config.json":                "{}",
	} {
		writeFile(t, filepath.Join(repo, filepath.FromSlash(name)), data)
	}
	t.Setenv("HF_HUB_CACHE", cache)
	t.Chdir(t.TempDir()) // no path of the same name
	return cache
}

func writeFile(t *testing.T, path, data string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(data), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func TestLocateInTheCache(t *testing.T) {
	cache := fakeCache(t)
	for name, want := range map[string]string{
		"own/model":           "models--own--model/snapshots/" + commit,
		"own/model@main":      "models--own--model/snapshots/" + commit,
		"own/model@" + commit: "models--own--model/snapshots/" + commit,
		"own/model@v1.0":      "models--own--model/snapshots/aaaa",
		"own/model@aaaa":      "models--own--model/snapshots/aaaa",
		"own/model@refs/pr/7": "models--own--model/snapshots/bbbb",
		"own/no-refs@f00":     "models--own--no-refs/snapshots/f00",
	} {
		got, err := Locate(name)
		if err != nil || got != filepath.Join(cache, filepath.FromSlash(want)) {
			t.Errorf("Locate(%q) = %q, %v, want …/%s", name, got, err, want)
		}
	}
}

func TestLocateSaysHowToDownload(t *testing.T) {
	cache := fakeCache(t)
	for name, command := range map[string]string{
		"own/other":              "hf download own/other",
		"meta-llama/Llama-3.1_8": "hf download meta-llama/Llama-3.1_8",
		"own/other@v2":           "hf download own/other --revision v2",
		"own/model@refs/pr/8":    "hf download own/model --revision refs/pr/8",
		"own/model@gone":         "hf download own/model --revision gone",
		"own/model@plain-file":   "hf download own/model --revision plain-file",
		"own/no-snapshots":       "hf download own/no-snapshots",
		"own/no-refs":            "hf download own/no-refs",
	} {
		_, err := Locate(name)
		checkMissing(t, name, err)
		if !strings.HasSuffix(err.Error(), "run: "+command) {
			t.Errorf("Locate(%q): %v, want the command %q", name, err, command)
		}
		if !strings.Contains(err.Error(), cache) {
			t.Errorf("Locate(%q): %v, want the place of the cache", name, err)
		}
	}
}

func checkMissing(t *testing.T, name string, err error) {
	t.Helper()
	var e *format.Error
	if !errors.As(err, &e) || e.Kind != format.KindMissing || e.Path != name {
		t.Fatalf("Locate(%q): error %v, want a *format.Error of kind %q", name, err, format.KindMissing)
	}
}

// TestLocateStaysInTheCache tries to leave it, by the name and by what a ref says.
func TestLocateStaysInTheCache(t *testing.T) {
	fakeCache(t)
	for _, name := range []string{
		"own/model@..", "own/model@../..", "own/model@refs/../../snapshots/aaaa", "own/model@a/../../b", "own/model@.",
		"own/model@./", "own/model@/etc", "own/model@snapshots/aaaa", "own/model@evil", "own/model@absolute", "own/model@dot",
		"own/model@empty", "own/model@refs", "../own/model", "own/../model", "own/..", "./own", "own/model/..x", "own\\model",
		"own/model@a\\b", "own/model@", "own/model@x@y", "own/model ", "own", "", "a/b/c", "-own/model", "own/-model", "own/model@\n",
	} {
		got, err := Locate(name)
		if got != "" {
			t.Errorf("Locate(%q) = %q", name, got)
			continue
		}
		checkMissing(t, name, err)
	}
}

func TestLocatePrefersPaths(t *testing.T) {
	fakeCache(t)
	writeFile(t, "own/model", "a file")
	writeFile(t, "own/dir/x", "")
	for _, name := range []string{"own/model", "own/dir", "own"} {
		if got, err := Locate(name); got != name || err != nil {
			t.Errorf("Locate(%q) = %q, %v, want the path itself", name, got, err)
		}
	}
}
