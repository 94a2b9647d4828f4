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
		return withCommit(tag, commit)
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
		if s.Key == "vcs.revision" {
			return withCommit(v, s.Value)
		}
	}
	return v
}

// withCommit is a version with as much of the commit as people write, unless it has that already.
func withCommit(version, commit string) string {
	short := commit[:min(12, len(commit))]
	if strings.Contains(version, short) { // every version contains the commit "", which is not known
		return version
	}
	return version + " " + short
}
