package main

import (
	"runtime/debug"
	"strings"
)

// What .ci/release sets: the tag and the commit that a release was built from, which it builds outside of git. Other
// builds have them from the toolchain.
var tag, commit string

// version is the tag and the commit that the program was built from, as far as they are known.
func version() string {
	if tag != "" {
		return strings.TrimSpace(tag + " " + short(commit))
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(v, short(s.Value)) {
			v += " " + short(s.Value)
		}
	}
	return v
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(12, len(commit))] }
