package hub

import (
	"path"
	"slices"
	"strings"

	"weld/format"
	"weld/mmapio"
)

// templateDir is the one directory that belongs to a tokenizer.
const templateDir = "additional_chat_templates"

// MaxSidecar is the most bytes that a file beside the weights may have.
const MaxSidecar = format.MaxSmall

// Sidecars lists the files beside the weights of a checkpoint that a
// merged checkpoint needs as well: configuration, tokenizer, templates, licence,
// code; of a directory that lists components, theirs too. Names are sorted. skipped are the directories that are not carried. What is
// neither file nor directory is an error.
func Sidecars(dir format.Folder) (names, skipped []string, err error) {
	components, err := dir.Components()
	if err != nil {
		return nil, nil, err
	}
	s := sidecars{dir: dir}
	for _, c := range components {
		s.carried = append(s.carried, c.Folder)
	}
	if err := s.walk("."); err != nil {
		return nil, nil, err
	}
	slices.Sort(s.names)
	return s.names, s.skipped, nil
}

type sidecars struct {
	dir            format.Folder
	carried        []string // directories of components
	names, skipped []string
}

func (s *sidecars) walk(dir string) error {
	entries, err := s.dir.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || format.IsWeights(e.Name()) {
			continue
		}
		name := path.Join(dir, e.Name())
		info, err := s.dir.Stat(name) // the cache is made of links
		switch {
		case err != nil:
			return err
		case info.Mode().IsRegular():
			s.names = append(s.names, name)
		case info.IsDir() && s.carries(dir, name):
			if err := s.walk(name); err != nil {
				return err
			}
		case info.IsDir() && path.Base(dir) == templateDir: // one level: links may go in circles
		case info.IsDir():
			s.skipped = append(s.skipped, name)
		default:
			return &mmapio.NotRegularError{Path: name, Mode: info.Mode()}
		}
	}
	return nil
}

// carries reports whether a directory in another one is a component, leads to one, or has the templates of a tokenizer.
func (s *sidecars) carries(dir, name string) bool {
	if path.Base(name) == templateDir {
		return dir == "." || slices.Contains(s.carried, dir)
	}
	return slices.ContainsFunc(s.carried, func(of string) bool { return of == name || strings.HasPrefix(of, name+"/") })
}
