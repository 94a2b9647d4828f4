package lora

import (
	"bytes"
	"io/fs"
	"time"

	"weld/format"
	"weld/format/hub"
	"weld/mmapio"
)

// derived is a checkpoint that shows tensors of another by other names, some of them more than once, with a
// config.json that says so.
type derived struct {
	format.Checkpoint
	tensors []format.Tensor
	of      []int // where each lies in the other
	byName  map[string]int
	beside  format.Folder
}

// derive begins a derived checkpoint. rewrite makes its config.json of the other's.
func derive(c format.Checkpoint, rewrite func([]byte) []byte) *derived {
	d := &derived{Checkpoint: c, byName: make(map[string]int), beside: format.Beside(c)}
	if d.beside.Exists() {
		d.beside = format.FolderOf(d.beside.Path(), rewritten{d.beside, rewrite})
	}
	return d
}

// show adds tensor i of the other under a name.
func (d *derived) show(i int, name string) {
	t := d.Checkpoint.Tensors()[i]
	t.Name = name
	d.byName[name] = len(d.tensors)
	d.tensors, d.of = append(d.tensors, t), append(d.of, i)
}

func (d *derived) Beside() format.Folder    { return d.beside }
func (d *derived) Tensors() []format.Tensor { return d.tensors }
func (d *derived) InPieces(i int) bool      { return format.InPieces(d.Checkpoint, d.of[i]) }
func (d *derived) FileOf(i int) int         { return format.FileOf(d.Checkpoint, d.of[i]) }

// Unwrap implements [format.Wrapper].
func (d *derived) Unwrap() format.Checkpoint { return d.Checkpoint }

func (d *derived) Find(name string) (int, bool) {
	i, ok := d.byName[name]
	return i, ok
}

func (d *derived) View(i int, off, n int64) (mmapio.View, error) {
	return d.Checkpoint.View(d.of[i], off, n)
}

func (d *derived) Read(i int, off, n int64) (mmapio.View, error) {
	return format.Read(d.Checkpoint, d.of[i], off, n)
}

func (d *derived) Advise(a mmapio.Advice, i int, off, n int64) {
	format.Advise(d.Checkpoint, a, d.of[i], off, n)
}

func (d *derived) Stored(i int) (file *mmapio.File, begin int64) {
	return format.Stored(d.Checkpoint, d.of[i])
}

// rewritten is a folder whose config.json is another than the one that lies there.
type rewritten struct {
	format.Folder
	rewrite func([]byte) []byte
}

func (r rewritten) Open(name string) (fs.File, error) {
	if name != hub.ConfigName {
		return r.Folder.Open(name)
	}
	info, err := r.Folder.Stat(name)
	if err != nil {
		return nil, err
	}
	raw, err := r.Folder.Read(name, hub.MaxSidecar)
	if err != nil {
		return nil, err
	}
	text := r.rewrite(raw)
	return &memoryFile{bytes.NewReader(text), memoryInfo{info, int64(len(text))}}, nil
}

// Stat implements [fs.StatFS]: a file's size is that of its new text.
func (r rewritten) Stat(name string) (fs.FileInfo, error) {
	if name != hub.ConfigName {
		return r.Folder.Stat(name)
	}
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// memoryFile is a file that lies in memory.
type memoryFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (m *memoryFile) Stat() (fs.FileInfo, error) { return m.info, nil }
func (m *memoryFile) Close() error               { return nil }

type memoryInfo struct {
	fs.FileInfo
	size int64
}

func (m memoryInfo) Size() int64        { return m.size }
func (m memoryInfo) ModTime() time.Time { return m.FileInfo.ModTime() }
