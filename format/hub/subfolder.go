package hub

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weld/format"
)

// LocateFolder is [Locate] for what may lie in a folder of a repository: owner/name/folder,
// with an optional @revision at its end. Repositories of adapters have many of them.
func LocateFolder(name string) (string, error) {
	path, err := Locate(name)
	if err == nil {
		return path, nil
	}
	full, revision, _ := strings.Cut(name, "@")
	parts := strings.Split(full, "/")
	if len(parts) < 3 || filepath.IsAbs(name) || strings.HasPrefix(name, ".") {
		return "", err
	}
	repo := strings.Join(parts[:2], "/")
	if revision != "" {
		repo += "@" + revision
	}
	if !repoName.MatchString(repo) {
		return "", err
	}
	snapshot, missing := Locate(repo)
	if missing != nil {
		return "", missing
	}
	for _, part := range parts[2:] {
		if fault := format.NameFault(part); fault != "" {
			return "", &format.Error{Path: name, Kind: format.KindMissing, Detail: fmt.Sprintf("%q is no folder's name: it %s", part, fault)}
		}
	}
	path = filepath.Join(append([]string{snapshot}, parts[2:]...)...)
	if _, err := os.Stat(path); err != nil {
		return "", &format.Error{Path: name, Kind: format.KindMissing, Detail: fmt.Sprintf("%s is in the Hub cache, but has no %s", repo, strings.Join(parts[2:], "/"))}
	}
	return path, nil
}
