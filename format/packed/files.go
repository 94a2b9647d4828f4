package packed

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// FS shows the files of the pack as a file system. Its files are read anew each time.
func (a *Archive) FS() fs.FS { return archiveFS{a} }

type archiveFS struct{ a *Archive }

// Open implements [fs.FS].
func (f archiveFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if i, ok := f.a.Find(name); ok {
		src := f.a.Source(i)
		return &openFile{info: f.info(path.Base(name), src.Size(), 0o444), SectionReader: io.NewSectionReader(src, 0, src.Size())}, nil
	}
	if entries := f.list(name); entries != nil {
		return &openDir{info: f.info(path.Base(name), 0, fs.ModeDir|0o555), entries: entries}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// list is what a directory holds, sorted; nil if there is none of that name.
func (f archiveFS) list(dir string) []fs.DirEntry {
	var entries []fs.DirEntry
	if dir == "." {
		entries = []fs.DirEntry{}
	}
	prefix := dir + "/"
	if dir == "." {
		prefix = ""
	}
	seen := make(map[string]bool)
	for _, file := range f.a.files {
		rest, ok := strings.CutPrefix(file.Name, prefix)
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if seen[name] {
			continue
		}
		seen[name] = true
		info := f.info(name, file.Size, 0o444)
		if deeper {
			info = f.info(name, 0, fs.ModeDir|0o555)
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

func (f archiveFS) info(name string, size int64, mode fs.FileMode) info {
	return info{name, size, mode, f.a.Info().ModTime()}
}

type info struct {
	name string
	size int64
	mode fs.FileMode
	time time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.time }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

type openFile struct {
	info              info
	*io.SectionReader // also an io.ReaderAt
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info    info
	entries []fs.DirEntry // not yet read
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements [fs.ReadDirFile].
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.entries) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.entries) {
		n = len(d.entries)
	}
	read := d.entries[:n]
	d.entries = d.entries[n:]
	return read, nil
}
