package hub

import (
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

// An adapter may lie in a folder of a repository.
func TestLocateFolder(t *testing.T) {
	cache := fakeCache(t)
	snapshot := filepath.Join(cache, "models--own--model", "snapshots", commit)
	writeFile(t, filepath.Join(snapshot, "lora", "deep", "adapter_config.json"), "{}")
	writeFile(t, filepath.Join("local", "sub", "x"), "")
	for name, want := range map[string]string{
		"own/model":                     snapshot,
		"own/model/lora":                filepath.Join(snapshot, "lora"),
		"own/model/lora/deep":           filepath.Join(snapshot, "lora", "deep"),
		"own/model/lora@main":           filepath.Join(snapshot, "lora"),
		"own/model/lora/deep@" + commit: filepath.Join(snapshot, "lora", "deep"),
		filepath.Join("local", "sub"):   filepath.Join("local", "sub"),
		"local/sub/x":                   "local/sub/x",
	} {
		if got, err := LocateFolder(name); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", name, got, err, want)
		}
	}
	for name, says := range map[string]string{
		"own/model/gone":      "own/model is in the Hub cache, but has no gone",
		"own/model/../x":      `".." is no folder's name`,
		"own/model/lora@v1.0": "own/model@v1.0 is in the Hub cache, but has no lora",
		"own/other/lora":      "hf download own/other",
		"./own/model/lora":    "no such file",
		"/own/model/lora":     "no such file",
	} {
		if got, err := LocateFolder(name); err == nil || !strings.Contains(err.Error(), says) || format.KindOf(err) != format.KindMissing {
			t.Errorf("%s: %q %v, want an error with %q", name, got, err, says)
		}
	}
}
