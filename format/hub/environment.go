package hub

import (
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
)

// cacheDir is where huggingface_hub 2.4 keeps models, by its environment variables and by its rules
// (huggingface_hub/constants.py): the first of these that is set, be it to nothing. ~ and variables in all
// of them are expanded.
func cacheDir() string {
	if dir, ok := os.LookupEnv("HF_HUB_CACHE"); ok {
		return expand(dir)
	}
	if dir, ok := os.LookupEnv("HUGGINGFACE_HUB_CACHE"); ok {
		return expand(dir)
	}
	return expand(filepath.Join(hubHome(), "hub"))
}

// hubHome is the client's HF_HOME.
func hubHome() string {
	if dir, ok := os.LookupEnv("HF_HOME"); ok {
		return expand(dir)
	}
	dir, ok := os.LookupEnv("XDG_CACHE_HOME")
	if !ok {
		dir = filepath.Join(expandUser("~"), ".cache")
	}
	return expand(filepath.Join(dir, "huggingface"))
}

func expand(path string) string { return expandVariables(expandUser(path)) }

// expandUser does what Python's os.path.expanduser does to ~ and ~name at the beginning of a path;
// where nobody is known by that name, nothing.
func expandUser(path string) string {
	if !strings.HasPrefix(path, "~") {
		return path
	}
	name, rest := path[1:], ""
	if i := strings.IndexFunc(path, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) }); i >= 0 {
		name, rest = path[1:i], path[i:]
	}
	var home string
	if name == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			if u, err := user.Current(); err == nil {
				home = u.HomeDir
			}
		}
	} else if u, err := user.Lookup(name); err == nil {
		home = u.HomeDir
	}
	if home == "" {
		return path
	}
	return strings.TrimRight(home, "/") + rest
}

var variable = regexp.MustCompile(`\$(?:(\w+)|\{([^}]*)\})`)

// expandVariables does what Python's os.path.expandvars does: $NAME and ${NAME} are replaced by their
// values; those that are not set stay as they are.
func expandVariables(path string) string {
	return variable.ReplaceAllStringFunc(path, func(found string) string {
		name := strings.Trim(found[1:], "{}")
		if value, ok := os.LookupEnv(name); ok {
			return value
		}
		return found
	})
}
