package fuzz

import (
	"bytes"
	"encoding/binary"
	"strings"

	"weld/format"
	"weld/format/torch"
	"weld/internal/torchsave"
)

// What specimens of torch.save's files are made of: one tensor "a" of two float32, in the storage "0".
var (
	torchStorage = torchsave.Storage("FloatStorage", "0", 2)
	torchTensor  = torchsave.Tensor(torchStorage, 0, []int64{2}, []int64{1})
	torchData    = torchsave.Entry{Name: "data/0", Data: []byte("\x00\x00\x80\x3f\x00\x00\x00\x40")}
	torchState   = torchsave.Entry{Name: "data.pkl", Data: torchsave.Pickle(torchsave.Dict(torchsave.Text("a"), torchTensor))}
	torchSound   = torchsave.Archive("a", false, torchState, torchData)
	torchLarge   = torchsave.Archive("a", true, torchState, torchData)
)

// saved is a file of which this was saved.
func saved(value string) []byte {
	return torchsave.Archive("a", false, torchsave.Entry{Name: "data.pkl", Data: torchsave.Pickle(value)}, torchData)
}

// savedTensor is a file with a tensor "a".
func savedTensor(tensor string) []byte { return saved(torchsave.Dict(torchsave.Text("a"), tensor)) }

// viewOf is a file with a view of the storage.
func viewOf(offset int64, shape, strides []int64) []byte {
	return savedTensor(torchsave.Tensor(torchStorage, offset, shape, strides))
}

// with is the sound file and more entries.
func with(entries ...torchsave.Entry) []byte {
	return torchsave.Archive("a", false, append([]torchsave.Entry{torchState, torchData}, entries...)...)
}

// spoiled is a file with other bytes at an offset behind the last of a few marks.
func spoiled(file []byte, mark string, at int, with string) []byte {
	file = bytes.Clone(file)
	i := bytes.LastIndex(file, []byte(mark))
	if i < 0 {
		panic(mark)
	}
	copy(file[i+at:], with)
	return file
}

// The marks of a zip file's records: of an entry, of one in the directory, of the end, and of zip64's.
const (
	zipEntry, zipListed, zipEnd = "PK\x03\x04", "PK\x01\x02", "PK\x05\x06"
	zipLarge, zipLocator        = "PK\x06\x06", "PK\x06\x07"
)

// nested is a list in a list, and so on.
func nested(depth int) string { return strings.Repeat("]", depth) + strings.Repeat("a", depth-1) }

var malformedTorch = []specimen{
	// No zip file at all.
	{name: "empty", bytes: nil, kind: format.KindTruncated},
	{name: "beginning", bytes: torchSound[:3], kind: format.KindTruncated},
	{name: "cut", bytes: torchSound[:len(torchSound)-1], kind: format.KindTruncated},
	{name: "cut-half", bytes: torchSound[:len(torchSound)/2], kind: format.KindTruncated},
	{name: "more-behind", bytes: append(bytes.Clone(torchSound), 0), kind: format.KindTruncated},
	{name: "safetensors", bytes: file(good, 4), kind: format.KindForeign},
	{name: "page", bytes: []byte("<!DOCTYPE html><html></html>"), kind: format.KindForeign},
	{name: "pointer", bytes: []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), kind: format.KindForeign},
	{name: "bare-pickle", bytes: torchsave.Pickle("N"), kind: format.KindForeign},
	{name: "before-1.6", bytes: []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."), kind: format.KindUnsupported},
	{name: "tar", bytes: append(append([]byte("sys_info"), make([]byte, 249)...), "ustar\x0000"...), kind: format.KindUnsupported},

	// The end of the zip file.
	{name: "comment", bytes: append(spoiled(torchSound, zipEnd, 20, "\x01"), ' '), kind: format.KindTruncated},
	{name: "comment-announced", bytes: spoiled(torchSound, zipEnd, 20, "\x01"), kind: format.KindTruncated},
	{name: "end-of-parts", bytes: spoiled(torchSound, zipEnd, 4, "\x01\x00\x01\x00"), kind: format.KindUnsupported},
	{name: "end-two-counts", bytes: spoiled(torchSound, zipEnd, 8, "\x01"), kind: format.KindUnsupported},
	{name: "end-count-less", bytes: spoiled(torchSound, zipEnd, 8, "\x01\x00\x01\x00"), kind: format.KindOffsets},
	{name: "end-count-more", bytes: spoiled(torchSound, zipEnd, 8, "\x03\x00\x03\x00"), kind: format.KindHeaderSize},
	{name: "end-count-most", bytes: spoiled(torchSound, zipEnd, 8, "\xfe\xff\xfe\xff"), kind: format.KindHeaderSize},
	{name: "end-offset", bytes: spoiled(torchSound, zipEnd, 16, "\x01"), kind: format.KindOffsets},
	{name: "end-offset-beyond", bytes: spoiled(torchSound, zipEnd, 16, "\xfe\xff\xff\xff"), kind: format.KindOffsets},
	{name: "end-size", bytes: spoiled(torchSound, zipEnd, 12, "\x01"), kind: format.KindOffsets},
	{name: "end-saturated", bytes: spoiled(torchSound, zipEnd, 16, "\xff\xff\xff\xff"), kind: format.KindOffsets},
	{name: "zip64-differs", bytes: spoiled(torchLarge, zipEnd, 16, "\x01"), kind: format.KindOffsets},
	{name: "zip64-locator", bytes: spoiled(torchLarge, zipLocator, 8, "\x01"), kind: format.KindOffsets},
	{name: "zip64-mark", bytes: spoiled(torchLarge, zipLarge, 0, "QK"), kind: format.KindOffsets},
	{name: "zip64-size", bytes: spoiled(torchLarge, zipLarge, 4, "\x2d"), kind: format.KindOffsets},
	{name: "zip64-of-parts", bytes: spoiled(torchLarge, zipLocator, 16, "\x02"), kind: format.KindUnsupported},
	{name: "zip64-negative", bytes: spoiled(spoiled(torchLarge, zipLarge, 48, "\xff\xff\xff\xff\xff\xff\xff\xff"), zipEnd, 16, "\xff\xff\xff\xff"), kind: format.KindOffsets},
	{name: "zip64-count", bytes: spoiled(spoiled(torchLarge, zipLarge, 24, "\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f"), zipEnd, 8, "\xff\xff\xff\xff"), kind: format.KindHeaderSize},

	// Its directory, and what stands before each entry.
	{name: "listed-mark", bytes: spoiled(torchSound, zipListed, 0, "QK"), kind: format.KindOffsets},
	{name: "listed-name-beyond", bytes: spoiled(torchSound, zipListed, 28, "\xff"), kind: format.KindOffsets},
	{name: "compressed", bytes: spoiled(torchSound, zipListed, 10, "\x08"), kind: format.KindCompression},
	{name: "encrypted", bytes: spoiled(torchSound, zipListed, 8, "\x01"), kind: format.KindUnsupported},
	{name: "on-another-disk", bytes: spoiled(torchSound, zipListed, 34, "\x01"), kind: format.KindUnsupported},
	{name: "two-sizes", bytes: spoiled(torchSound, zipListed, 20, "\x04"), kind: format.KindSize},
	{name: "size-without-field", bytes: spoiled(torchSound, zipListed, 24, "\xff\xff\xff\xff"), kind: format.KindOffsets},
	{name: "entry-beyond", bytes: spoiled(torchSound, zipListed, 42, "\xff\xff\xff\x7f"), kind: format.KindOffsets},
	{name: "entry-in-directory", bytes: spoiled(torchSound, zipListed, 20, "\xff\x00\x00\x00\xff\x00\x00\x00"), kind: format.KindOffsets},
	{name: "entry-mark", bytes: spoiled(torchSound, zipEntry, 0, "QK"), kind: format.KindOffsets},
	{name: "entry-name", bytes: spoiled(torchSound, zipEntry, 30, "b"), kind: format.KindOffsets},
	{name: "entry-flags", bytes: spoiled(torchSound, zipEntry, 6, "\x08"), kind: format.KindOffsets},
	{name: "entry-method", bytes: spoiled(torchSound, zipEntry, 8, "\x08"), kind: format.KindOffsets},
	{name: "entry-size", bytes: spoiled(torchSound, zipEntry, 22, "\x07"), kind: format.KindOffsets},
	{name: "entry-checksum", bytes: spoiled(torchSound, zipEntry, 14, "\xff\xff\xff\xff"), kind: format.KindOffsets},
	{name: "entries-overlap", bytes: overlapping(), kind: format.KindOverlap},
	{name: "entry-twice", bytes: with(torchData), kind: format.KindDuplicate},
	{name: "two-roots", bytes: spoiled(spoiled(torchSound, zipListed, 46, "b"), zipEntry, 30, "b"), kind: format.KindShardName},
	{name: "no-root", bytes: spoiled(spoiled(torchSound, zipListed, 46, "b_data_0"), zipEntry, 30, "b_data_0"), kind: format.KindShardName},
	{name: "name-parent", bytes: with(torchsave.Entry{Name: "../x"}), kind: format.KindShardName},
	{name: "name-absolute", bytes: torchsave.Archive("", false, torchState, torchData), kind: format.KindShardName},
	{name: "name-backslash", bytes: with(torchsave.Entry{Name: `..\x`}), kind: format.KindShardName},
	{name: "name-nul", bytes: with(torchsave.Entry{Name: "x\x00"}), kind: format.KindShardName},
	{name: "name-utf8", bytes: with(torchsave.Entry{Name: "\xff"}), kind: format.KindShardName},
	{name: "name-long", bytes: with(torchsave.Entry{Name: strings.Repeat("x", 2000)}), kind: format.KindShardName},

	// Its entries.
	{name: "no-pickle", bytes: torchsave.Archive("a", false, torchData), kind: format.KindUnsupported},
	{name: "program", bytes: with(torchsave.Entry{Name: "code/a.py"}), kind: format.KindUnsupported},
	{name: "order-big", bytes: with(torchsave.Entry{Name: "byteorder", Data: []byte("big")}), kind: format.KindUnsupported},
	{name: "order-unknown", bytes: with(torchsave.Entry{Name: "byteorder", Data: []byte("middle")}), kind: format.KindKey},
	{name: "order-long", bytes: with(torchsave.Entry{Name: "byteorder", Data: make([]byte, 17)}), kind: format.KindSize},

	// The pickle.
	{name: "pickle-cut", bytes: torchsave.Archive("a", false, torchsave.Entry{Name: "data.pkl", Data: torchState.Data[:20]}, torchData), kind: format.KindPickle},
	{name: "pickle-empty", bytes: torchsave.Archive("a", false, torchsave.Entry{Name: "data.pkl"}, torchData), kind: format.KindPickle},
	{name: "pickle-more", bytes: torchsave.Archive("a", false, torchsave.Entry{Name: "data.pkl", Data: append(bytes.Clone(torchState.Data), 'N')}, torchData), kind: format.KindPickle},
	{name: "pickle-protocol-0", bytes: torchsave.Archive("a", false, torchsave.Entry{Name: "data.pkl", Data: []byte("I1\n.")}, torchData), kind: format.KindPickle},
	{name: "pickle-instruction", bytes: saved("\x97"), kind: format.KindPickle},
	{name: "calls-a-function", bytes: saved(torchsave.Call(torchsave.Name("posix", "getpid"), torchsave.Tuple())), kind: format.KindForbidden},
	{name: "calls-a-type", bytes: saved(torchsave.Call(torchsave.Name("torch", "float32"), torchsave.Tuple())), kind: format.KindForbidden},
	{name: "asks-for-a-loader", bytes: saved(torchsave.Name("torch.storage", "_load_from_bytes")), kind: format.KindForbidden},
	{name: "asks-for-a-subclass", bytes: saved(torchsave.Name("torch.distributed.tensor", "DTensor")), kind: format.KindForbidden},
	{name: "holds-itself", bytes: saved("]q\x00h\x00a"), kind: format.KindUnsupported},
	{name: "too-deep", bytes: saved(nested(66)), kind: format.KindUnsupported},
	{name: "no-tensor", bytes: saved(torchsave.Dict(torchsave.Text("a"), "N")), kind: format.KindUnsupported},
	{name: "tensor-alone", bytes: saved(torchTensor), kind: format.KindUnsupported},
	{name: "key-is-a-tuple", bytes: saved(torchsave.Dict(torchsave.Tuple(), torchTensor)), kind: format.KindUnsupported},
	{name: "two-state-dicts", bytes: saved(torchsave.Dict(torchsave.Text("x"), torchsave.Dict(torchsave.Text("a"), torchTensor), torchsave.Text("y"), torchsave.Dict(torchsave.Text("a"), torchTensor))), kind: format.KindIndex},
	{name: "name-twice", bytes: saved(torchsave.Dict(torchsave.Text("a"), torchTensor, torchsave.Text("a"), torchTensor)), kind: format.KindDuplicate, tensor: "a", lax: laxName},

	// Tensors and storages.
	{name: "storage-missing", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("FloatStorage", "1", 2), 0, []int64{2}, []int64{1})), kind: format.KindMissing, tensor: "a"},
	{name: "storage-larger", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("FloatStorage", "0", 3), 0, []int64{2}, []int64{1})), kind: format.KindSize, tensor: "a"},
	{name: "storage-smaller", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("FloatStorage", "0", 1), 0, []int64{1}, []int64{1})), kind: format.KindSize, tensor: "a", lax: "more bytes than elements are passed over"},
	{name: "storage-wraps", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("FloatStorage", "0", 1<<62), 0, []int64{2}, []int64{1})), kind: format.KindPickle},
	{name: "storage-negative", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("FloatStorage", "0", -2), 0, []int64{2}, []int64{1})), kind: format.KindPickle},
	{name: "storage-class", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("float32", "0", 2), 0, []int64{2}, []int64{1})), kind: format.KindPickle},
	{name: "storage-parent", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("FloatStorage", "../data/0", 2), 0, []int64{2}, []int64{1})), kind: format.KindMissing, tensor: "a"},
	{name: "storage-in-two-sizes", bytes: savedTensor(torchsave.Tuple(torchTensor, torchsave.Storage("ByteStorage", "0", 2))), kind: format.KindPickle},
	{name: "identifier", bytes: savedTensor(torchsave.Tuple(torchsave.Text("module")) + "Q"), kind: format.KindPickle},
	{name: "view-beyond", bytes: viewOf(0, []int64{3}, []int64{1}), kind: format.KindSize, tensor: "a"},
	{name: "view-offset-beyond", bytes: viewOf(1, []int64{2}, []int64{1}), kind: format.KindSize, tensor: "a"},
	{name: "view-stride-beyond", bytes: viewOf(0, []int64{2}, []int64{2}), kind: format.KindSize, tensor: "a"},
	{name: "view-offset-negative", bytes: viewOf(-1, []int64{2}, []int64{1}), kind: format.KindPickle},
	{name: "view-stride-negative", bytes: viewOf(1, []int64{2}, []int64{-1}), kind: format.KindPickle},
	{name: "view-shape-negative", bytes: viewOf(0, []int64{-2}, []int64{1}), kind: format.KindPickle},
	{name: "view-one-stride-less", bytes: viewOf(0, []int64{1, 2}, []int64{1}), kind: format.KindPickle},
	{name: "view-rank-65", bytes: viewOf(0, ones(65), ones(65)), kind: format.KindPickle},
	{name: "view-wraps", bytes: viewOf(0, []int64{1 << 32, 1 << 32}, []int64{0, 0}), kind: format.KindOverflow, tensor: "a"},
	{name: "view-stride-wraps", bytes: viewOf(0, []int64{2, 3}, []int64{1, 1 << 62}), kind: format.KindOverflow, tensor: "a"},
	{name: "complex128", bytes: savedTensor(torchsave.Tensor(torchsave.Storage("ComplexDoubleStorage", "0", 0), 0, []int64{0}, []int64{1})), kind: format.KindDType, tensor: "a"},
	{name: "sparse", bytes: savedTensor(torchsave.Call(torchsave.Name("torch._utils", "_rebuild_sparse_tensor"), torchsave.Tuple("N"))), kind: format.KindUnsupported, tensor: "a"},
}

// ones are n of them.
func ones(n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = 1
	}
	return list
}

// overlapping is a file in which the storage lies within the pickle, which is long enough for it.
func overlapping() []byte {
	inner := torchsave.Archive("a", false, torchData)
	inner = inner[:bytes.Index(inner, []byte(zipListed))]
	state := torchsave.Entry{Name: "data.pkl", Data: torchsave.Pickle(torchsave.Dict(torchsave.Text("a"), torchTensor, torchsave.Text("b"), "C"+string(rune(len(inner)))+string(inner)))}
	file := torchsave.Archive("a", false, state, torchData)
	at := bytes.Index(file, inner)
	return spoiled(file, zipListed, 42, string(binary.LittleEndian.AppendUint32(nil, uint32(at))))
}

// openTorch opens a file of torch.save as a checkpoint.
func openTorch(path string, file []byte) error {
	c, err := torch.OpenFile(path, &inMemory{Reader: bytes.NewReader(file), path: path, data: file}, "")
	if err == nil {
		err = c.Close()
	}
	return err
}
