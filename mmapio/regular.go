package mmapio

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenRegular opens a regular file, or a link to one, for reading, and is what every file that a user
// names is opened with. Anything else is a [*NotRegularError], at once: a pipe without a writer would
// have weld wait for ever, and merely opening a device can do something. What the name stands for
// is asked before it is opened, and again of what was opened, since it may have changed between.
func OpenRegular(path string) (*os.File, os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &NotRegularError{Path: path, Mode: info.Mode()}
	}
	return openNow(path)
}

// openNow is OpenRegular without a look before.
func openNow(path string) (*os.File, os.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &NotRegularError{Path: path, Mode: info.Mode()}
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// NotRegularError reports a name of what is no regular file, where one was to be read.
type NotRegularError struct {
	Path string
	Mode fs.FileMode
}

func (e *NotRegularError) Error() string {
	return fmt.Sprintf("%s is %s; weld reads regular files only", e.Path, e.what())
}

func (e *NotRegularError) what() string {
	switch m := e.Mode; {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no file"
}

// Files are the files of a directory, and of those below it. Unlike [os.DirFS] it opens regular files
// only; directories are listed by [fs.ReadDir].
func Files(path string) fs.FS { return regularFiles(path) }

type regularFiles string

// Open implements [fs.FS].
func (d regularFiles) Open(name string) (fs.File, error) {
	return at(d, "open", name, func(path string) (fs.File, error) {
		file, _, err := OpenRegular(path)
		if err != nil {
			return nil, err
		}
		return file, nil
	})
}

// Stat implements [fs.StatFS].
func (d regularFiles) Stat(name string) (fs.FileInfo, error) { return at(d, "stat", name, os.Stat) }

// ReadDir implements [fs.ReadDirFS].
func (d regularFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	return at(d, "open", name, os.ReadDir)
}

// at does something with the path of a name; errors have the name alone, as those of every [fs.FS].
func at[T any](d regularFiles, op, name string, do func(path string) (T, error)) (T, error) {
	local, err := filepath.Localize(name)
	if err != nil {
		var none T
		return none, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	result, err := do(filepath.Join(string(d), local))
	switch e := err.(type) {
	case *fs.PathError:
		err = &fs.PathError{Op: e.Op, Path: name, Err: e.Err}
	case *NotRegularError:
		err = &NotRegularError{Path: name, Mode: e.Mode}
	}
	return result, err
}
