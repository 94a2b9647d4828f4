package hub

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"weld/format"
)

// repoName is owner/name, or name alone, with an optional @revision, as on the Hub.
var repoName = regexp.MustCompile(`^(?:([A-Za-z0-9][\w.-]*)/)?([A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?$`)

// Locate turns what a user called a checkpoint into a path: a path that exists as
// it is, or else the snapshot of a Hub name in the local cache. The error for a
// name that is not there says how to download it.
func Locate(name string) (string, error) {
	if name == "" {
		return "", &format.Error{Path: name, Kind: format.KindMissing, Detail: "the path is empty, as a variable of the shell that is not set"}
	}
	_, err := os.Stat(name)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return name, err
	}
	m := repoName.FindStringSubmatch(name)
	if m == nil {
		return "", &format.Error{Path: name, Kind: format.KindMissing, Detail: "no such file or directory"}
	}
	owner, repo, revision := m[1], m[2], m[3]
	cache := cacheDir()
	folder, repoID := folderPrefix+repo, repo
	if owner != "" {
		folder, repoID = folderPrefix+owner+separator+repo, owner+"/"+repo
	}
	if dir, ok := snapshot(filepath.Join(cache, folder), revision); ok {
		return dir, nil
	}
	if owner == "" && revision == "" { // few models are called so; most are files that are not there
		return "", &format.Error{Path: name, Kind: format.KindMissing, Detail: "no such file or directory, and no model of that name in the Hub cache " + cache}
	}
	return "", &format.Error{Path: name, Kind: format.KindMissing,
		Detail: fmt.Sprintf("neither a path nor a model in the Hub cache %s; to download it, run: %s", cache, download(repoID, revision))}
}

// Names of a model's folder in the cache: models--owner--name.
const (
	folderPrefix = "models--"
	separator    = "--"
)

// download is the command that downloads a model.
func download(repoID, revision string) string {
	command := "hf download " + repoID
	if revision != "" {
		command += " --revision " + revision
	}
	return command
}

// Incomplete says what to do about a path in a snapshot of the Hub's cache of which something is
// missing: the command that downloads the rest. It is "" for any other path.
func Incomplete(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	for dir := path; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		repo := filepath.Dir(filepath.Dir(dir))
		id, ok := strings.CutPrefix(filepath.Base(repo), folderPrefix)
		if !ok || filepath.Base(filepath.Dir(dir)) != "snapshots" {
			continue
		}
		advice := "the snapshot in the Hub cache is incomplete"
		if parts, _ := filepath.Glob(filepath.Join(repo, "blobs", "*.incomplete")); len(parts) > 0 {
			advice += ", and a download was interrupted"
		}
		return advice + "; to complete it, run: " + download(strings.Replace(id, separator, "/", 1), filepath.Base(dir))
	}
	return ""
}

// maxRef is the most bytes of a ref, which is one line with a commit.
const maxRef = 1 << 10

// snapshot finds the directory of a revision: a branch or tag by its ref, or a
// commit by its hash.
func snapshot(repo, revision string) (string, bool) {
	if revision == "" {
		revision = "main"
	}
	if strings.Contains(revision, "..") {
		return "", false
	}
	commit := revision
	if ref, err := format.Directory(repo).Read("refs/"+revision, maxRef); err == nil && ref != nil {
		commit = strings.TrimSpace(string(ref))
	}
	if commit == "" || commit == "." || strings.ContainsAny(commit, `/\`) || strings.Contains(commit, "..") {
		return "", false
	}
	dir := filepath.Join(repo, "snapshots", commit)
	info, err := os.Stat(dir)
	return dir, err == nil && info.IsDir()
}
