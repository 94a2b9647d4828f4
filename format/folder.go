package format

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"weld/mmapio"
)

// Folder holds the files of a checkpoint: a directory, or a container that has files in it. It
// is an [fs.FS] whose errors name the whole path, and that opens regular files only. The zero
// Folder is none; it has no files.
type Folder struct {
	path   string
	fsys   fs.FS
	within string // where fsys is in the one that it was made of, by which some of its errors name files
}

// Directory is a directory's Folder.
func Directory(path string) Folder { return Folder{path: path, fsys: mmapio.Files(path)} }

// FolderOf is the Folder of files that are found in a container.
func FolderOf(container string, files fs.FS) Folder { return Folder{path: container, fsys: files} }

// Sub is the Folder of a directory in it, with slashes; "" is the Folder itself.
func (f Folder) Sub(dir string) (Folder, error) {
	if dir == "" {
		return f, nil
	}
	sub, err := fs.Sub(f.fsys, dir)
	return Folder{f.Join(dir), sub, path.Join(f.within, dir)}, f.named(err)
}

// Exists reports whether there is a Folder at all.
func (f Folder) Exists() bool { return f.fsys != nil }

// Path is the directory or the container.
func (f Folder) Path() string { return f.path }

// Join is the whole path of a file, for messages.
func (f Folder) Join(name string) string { return filepath.Join(f.path, filepath.FromSlash(name)) }

// Open implements [fs.FS].
func (f Folder) Open(name string) (fs.File, error) {
	if !f.Exists() {
		return nil, f.named(&fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist})
	}
	file, err := f.fsys.Open(name)
	return file, f.named(err)
}

// Stat implements [fs.StatFS].
func (f Folder) Stat(name string) (fs.FileInfo, error) {
	if !f.Exists() {
		return nil, f.named(&fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist})
	}
	info, err := fs.Stat(f.fsys, name)
	return info, f.named(err)
}

// ReadDir implements [fs.ReadDirFS].
func (f Folder) ReadDir(name string) ([]fs.DirEntry, error) {
	if !f.Exists() {
		return nil, nil
	}
	entries, err := fs.ReadDir(f.fsys, name)
	return entries, f.named(err)
}

// ReadFile implements [fs.ReadFileFS], within [MaxSmall].
func (f Folder) ReadFile(name string) ([]byte, error) {
	raw, err := f.Read(name, MaxSmall)
	if raw == nil && err == nil {
		err = f.named(&fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist})
	}
	return raw, err
}

// MaxSmall is the most bytes that a file beside the weights may have. The largest
// tokenizer.json in use has about 35 MB.
const MaxSmall = 200 << 20

// Read reads a configuration, a tokenizer, an index: a small file whole, of at most limit bytes; what is not
// there is nil. A pointer of Git LFS or a web page in its place is an error.
func (f Folder) Read(name string, limit int64) ([]byte, error) {
	raw, err := f.Bytes(name, limit)
	if err == nil {
		err = f.Genuine(name, raw[:min(len(raw), ForeignHead)], int64(len(raw)))
	}
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// Genuine refuses a file of a size that begins as a pointer of Git LFS or a web page does.
func (f Folder) Genuine(name string, head []byte, size int64) error {
	if Pointer(head) == "" && !markup(head) {
		return nil
	}
	return &Error{Path: f.Join(name), Kind: KindForeign, Detail: Foreign(head, size)}
}

// Bytes reads a file whole, whatever it holds, of at most limit bytes; what is not there is nil.
func (f Folder) Bytes(name string, limit int64) ([]byte, error) {
	file, err := f.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, f.named(err)
	}
	tooLarge := &Error{Path: f.Join(name), Kind: KindSize, Detail: fmt.Sprintf("the file is larger than %d bytes, the most that weld reads of it", limit)}
	if info.Size() > limit {
		return nil, tooLarge
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = tooLarge
	}
	return raw, f.named(err)
}

// named gives an error the whole path.
func (f Folder) named(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return &fs.PathError{Op: e.Op, Path: f.Join(e.Path), Err: e.Err}
	}
	if e := (*mmapio.NotRegularError)(nil); errors.As(err, &e) {
		return &mmapio.NotRegularError{Path: f.Join(strings.TrimPrefix(e.Path, f.within+"/")), Mode: e.Mode}
	}
	return err
}
