package importance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"weld/mmapio"
	"weld/stream/plan"
)

// folder is where a measurement works, beside its output: what goes in at layers, gradients, and the sums of finished layers. It has the request in it, by
// which another run knows whether it is its own.
type folder struct {
	path string
	lock io.Closer
}

// mark is the file in a folder that says whose it is.
const mark = "weld-importance.json"

// openFolder makes or finds the working folder of an output, and keeps others from it.
func openFolder(out string) (*folder, error) {
	path := filepath.Join(filepath.Dir(out), "."+filepath.Base(out)+".weld-importance")
	lock, err := mmapio.OS.Lock(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("output %s: %w", out, err)
	}
	f := &folder{path, lock}
	if err := f.own(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return f, nil
}

// own demands that what has the folder's name is one.
func (f *folder) own() error {
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return os.Mkdir(f.path, 0o777)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is in the place of the working folder: move it away", f.path)
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	if marked, err := os.Lstat(filepath.Join(f.path, mark)); len(entries) > 0 && (err != nil || !marked.Mode().IsRegular()) {
		return fmt.Errorf("%s is in the place of the working folder, and holds what weld did not write: move it away", f.path)
	}
	return nil
}

// belong makes the folder that of a request: empty, unless it was so before.
func (f *folder) belong(key string) error {
	path := filepath.Join(f.path, mark)
	if held, err := mmapio.OS.ReadFile(path, 1<<10); err == nil && string(held) == key {
		return nil
	}
	if err := errors.Join(os.RemoveAll(f.path), os.Mkdir(f.path, 0o777)); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(key), 0o666)
}

// keeps reports whether something was finished in the folder that another run goes on behind.
func (f *folder) keeps() bool {
	for _, pattern := range []string{"in-*.json", "back-*.json"} {
		if found, _ := filepath.Glob(filepath.Join(escaped(f.path), pattern)); len(found) > 0 {
			return true
		}
	}
	return false
}

// escaped is a path in which a pattern has nothing to read.
func escaped(path string) string {
	if runtime.GOOS == "windows" { // which has no escapes
		return path
	}
	var out []rune
	for _, r := range path {
		switch r {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}

// script is where the program lies that works in the folder.
func (f *folder) script() string { return filepath.Join(f.path, "measure.py") }

func (f *folder) remove() error { return os.RemoveAll(f.path) }

func (f *folder) release() { f.lock.Close() }

// key is what two runs have in common if one can go on with the other's work.
func (m *measurement) key(digest string, p *plan.Plan) string {
	q := m.Request
	told, err := json.Marshal([]any{digest, q.Texts, versions(q.Texts), versions(filesOf(p)...), q.Samples, q.Length, q.Batch, q.Seed, q.Device, q.DType, q.Statistic, m.versions, sum(Script)})
	if err != nil {
		panic(err) // texts and numbers
	}
	return fmt.Sprintf("{\"request\": %q}\n", sum(string(told)))
}

// versions say which of their contents files have, as far as size and time tell.
func versions(paths ...string) (list []string) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			list = append(list, fmt.Sprint(path, info.Size(), info.ModTime().UTC()))
		}
	}
	return list
}

// beside are the files that transformers reads beside a model's: how it computes, and how it reads texts. What else is there, such as a log, may change.
var beside = []string{"config.json", "*token*.json", "vocab.*", "merges.txt", "*.model", "*.tiktoken", "chat_template*", "additional_chat_templates/*"}

// filesOf are a model's files, and those beside them that it is read with.
func filesOf(p *plan.Plan) (paths []string) {
	for _, in := range p.Opened {
		for _, f := range in.Files() {
			paths = append(paths, f.Path)
			for _, pattern := range beside {
				found, _ := filepath.Glob(filepath.Join(escaped(filepath.Dir(f.Path)), pattern))
				paths = append(paths, found...)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func sum(text string) string {
	digest := sha256.Sum256([]byte(text))
	return hex.EncodeToString(digest[:])
}
