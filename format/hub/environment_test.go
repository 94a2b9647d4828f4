package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unset removes a variable for the time of a test.
func unset(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Setenv(name, "") // brings it back afterwards
		os.Unsetenv(name)
	}
}

// TestCacheDir holds cacheDir against what huggingface_hub 2.4.0 said of the same environments
// (python -c "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"): the cases are
// those of .ci/interop/hub_cache.py, which asks it again.
func TestCacheDir(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("the paths are those of Unix")
	}
	for _, c := range []struct{ environment, want string }{
		{"", "/home/me/.cache/huggingface/hub"},
		{"XDG_CACHE_HOME=/c", "/c/huggingface/hub"},
		{"XDG_CACHE_HOME=~/c", "/home/me/c/huggingface/hub"},
		{"XDG_CACHE_HOME=$D/c", "/d/c/huggingface/hub"},
		{"XDG_CACHE_HOME=", "huggingface/hub"},
		{"XDG_CACHE_HOME=/c HF_HOME=/b", "/b/hub"},
		{"HF_HOME=~/b", "/home/me/b/hub"},
		{"HF_HOME=${D}/b", "/d/b/hub"},
		{"HF_HOME=", "hub"},
		{"HF_HOME=$V", "/d/hub"}, // expanded twice
		{"XDG_CACHE_HOME=$V", "/d/huggingface/hub"},
		{"HF_HUB_CACHE=$V", "$D"}, // once
		{"HF_HOME=/b HUGGINGFACE_HUB_CACHE=/l", "/l"},
		{"HUGGINGFACE_HUB_CACHE=~/l", "/home/me/l"},
		{"HUGGINGFACE_HUB_CACHE=$D", "/d"},
		{"HUGGINGFACE_HUB_CACHE=", ""},
		{"HUGGINGFACE_HUB_CACHE=/l HF_HUB_CACHE=/a", "/a"},
		{"HF_HUB_CACHE=~/a", "/home/me/a"},
		{"HF_HUB_CACHE=~", "/home/me"},
		{"HF_HUB_CACHE=a~", "a~"},
		{"HF_HUB_CACHE=~nobody-of-that-name/a", "~nobody-of-that-name/a"},
		{"HF_HUB_CACHE=$D/a/${D}", "/d/a//d"},
		{"HF_HUB_CACHE=$UNKNOWN/a", "$UNKNOWN/a"},
		{"HF_HUB_CACHE=${UNKNOWN}/$", "${UNKNOWN}/$"},
		{"HF_HUB_CACHE=$D-a", "/d-a"},
		{"HF_HUB_CACHE=$Dä", "/dä"},
		{"HF_HUB_CACHE=${D", "${D"},
		{"HF_HUB_CACHE=$T/a", "~/a"},
		{"HF_HUB_CACHE=", ""},
	} {
		unset(t, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "UNKNOWN")
		for name, value := range map[string]string{"HOME": "/home/me", "D": "/d", "T": "~", "V": "$D"} {
			t.Setenv(name, value)
		}
		for _, setting := range strings.Fields(c.environment) {
			name, value, _ := strings.Cut(setting, "=")
			t.Setenv(name, value)
		}
		if got := cacheDir(); got != c.want {
			t.Errorf("%s: %q, want %q", c.environment, got, c.want)
		}
	}
}
