package packs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"weld/format"
	"weld/format/packed"
)

// listing is what a folder holds, in all its subfolders.
type listing struct {
	files []string // regular files, and links to such; sorted
	notes []string // what stays outside, and why

	refused error // the first file that no pack can hold
}

// list finds every file of a folder. Links to files are followed: snapshots in the Hub cache are made of them. own reports whether a name is that of the output.
func list(folder format.Folder, own func(name string) bool) (*listing, error) {
	l := &listing{}
	if err := l.walk(folder, ".", own); err != nil {
		return nil, err
	}
	slices.Sort(l.files)
	return l, nil
}

func (l *listing) walk(folder format.Folder, dir string, own func(name string) bool) error {
	entries, err := folder.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the files of %s: %w", folder.Path(), err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		what := omitted(name, e)
		if what == "" && own(name) {
			what = "the output itself"
		}
		if what != "" {
			l.leave(folder, name, what)
			continue
		}
		if e.IsDir() {
			if err := l.walk(folder, name, own); err != nil {
				return err
			}
			continue
		}
		if err := l.add(folder, name, e); err != nil {
			return err
		}
	}
	return nil
}

// add takes a file, or a link to one.
func (l *listing) add(folder format.Folder, name string, e fs.DirEntry) error {
	info, err := folder.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink != 0 {
		l.refuse(folder, name, format.KindMissing, "a link that leads nowhere: the folder is not complete")
		return nil
	}
	switch {
	case err != nil:
		return err
	case info.IsDir():
		l.leave(folder, name, "a link to a directory")
	case !info.Mode().IsRegular():
		l.leave(folder, name, "no regular file")
	default:
		if fault := packed.NameFault(name); fault != "" {
			l.refuse(folder, name, format.KindUnsupported, "a pack, which restores on every system, holds no file whose name "+fault+": rename it")
		}
		l.files = append(l.files, name)
	}
	return nil
}

func (l *listing) refuse(folder format.Folder, name string, kind format.Kind, detail string) {
	if l.refused == nil {
		l.refused = &format.Error{Path: folder.Join(name), Kind: kind, Detail: detail}
	}
}

func (l *listing) leave(folder format.Folder, name, what string) {
	l.notes = append(l.notes, fmt.Sprintf("%s: %s stays outside the pack: %s", folder.Path(), name, what))
}

// omitted says why an entry is no part of what a user means by the folder, or "".
func omitted(name string, e fs.DirEntry) string {
	base := path.Base(name)
	switch {
	case e.IsDir() && base == ".git":
		return "the history of a repository"
	case e.IsDir() && base == ".cache":
		return "what a download left"
	case strings.HasPrefix(base, ".") && (strings.Contains(base, ".weld-tmp")):
		return "what another run of weld is writing, or left"
	}
	return ""
}
