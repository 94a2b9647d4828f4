package fuzz

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"testing/fstest"

	"weld/format"
	"weld/format/dcp"
	"weld/format/torch"
	save "weld/internal/torchsave"
)

// What specimens of torch.distributed.checkpoint are made of: one tensor "a" of four float32, in two chunks, in one file.

// dcpChunk is what torch.save writes of a chunk of two float32.
func dcpChunk(data string) []byte {
	return save.Archive("archive", false, save.Entry{Name: "data.pkl", Data: save.Pickle(save.Tensor(save.Storage("FloatStorage", "0", 2), 0, []int64{2}, []int64{1}))}, save.Entry{Name: "data/0", Data: []byte(data)})
}

const dcpFileName = "__0_0.distcp"

var (
	dcpFirst = dcpChunk("\x00\x00\x80\x3f\x00\x00\x00\x40")
	dcpFile  = append(bytes.Clone(dcpFirst), dcpChunk("\x00\x00\x40\x40\x00\x00\x80\x40")...)
)

// dcpObject is an instance of a class of the metadata, with attributes that follow each other as keys and values.
func dcpObject(class string, attributes ...string) string {
	return dcpInstance("torch.distributed.checkpoint.metadata", class, save.Dict(attributes...))
}

func dcpInstance(module, class, state string) string {
	return save.Name(module, class) + ")\x81" + state + "b"
}

func dcpSize(n ...int64) string {
	return save.Call(save.Name("torch", "Size"), save.Tuple(save.Ints(n...)))
}

func dcpProperties(dtype, layout string) string {
	encoding := save.Call(save.Name("torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING"), save.Tuple(save.Int(0)))
	return dcpInstance("torch.distributed.checkpoint.metadata", "TensorProperties",
		save.Tuple(dtype, save.Call(save.Name("torch.serialization", "_get_layout"), save.Tuple(save.Text(layout))), "\x89", encoding, "\x89"))
}

var dcpFloat = dcpProperties(save.Name("torch", "float32"), "torch.strided")

// dcpTensor describes a tensor by its size and its chunks.
func dcpTensor(properties, size string, chunks ...string) string {
	return dcpObject("TensorStorageMetadata", save.Text("properties"), properties, save.Text("size"), size, save.Text("chunks"), "]("+strings.Join(chunks, "")+"e")
}

func dcpBox(offsets, sizes string) string {
	return dcpObject("ChunkStorageMetadata", save.Text("offsets"), offsets, save.Text("sizes"), sizes)
}

func dcpIndex(name, offset string) string {
	return dcpObject("MetadataIndex", save.Text("fqn"), save.Text(name), save.Text("offset"), offset, save.Text("index"), save.Int(0))
}

func dcpPlace(file string, begin, length int, more ...string) string {
	return dcpInstance("torch.distributed.checkpoint.filesystem", "_StorageInfo",
		save.Dict(append([]string{save.Text("relative_path"), save.Text(file), save.Text("offset"), save.Int(int64(begin)), save.Text("length"), save.Int(int64(length))}, more...)...))
}

var (
	dcpBoxes  = []string{dcpBox(dcpSize(0), dcpSize(2)), dcpBox(dcpSize(2), dcpSize(2))}
	dcpPlaces = []string{
		dcpIndex("a", dcpSize(0)), dcpPlace(dcpFileName, 0, len(dcpFirst)),
		dcpIndex("a", dcpSize(2)), dcpPlace(dcpFileName, len(dcpFirst), len(dcpFirst)),
	}
	dcpSound = dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict(dcpPlaces...))
)

// dcpMetadata is a .metadata of tensors and places.
func dcpMetadata(tensors, places string, more ...string) []byte {
	return save.Pickle(dcpObject("Metadata", append([]string{save.Text("state_dict_metadata"), tensors, save.Text("storage_data"), places}, more...)...))
}

// dcpOf is one in which "a" is described so.
func dcpOf(tensor string) []byte {
	return dcpMetadata(save.Dict(save.Text("a"), tensor), save.Dict(dcpPlaces...))
}

// dcpCut is one in which "a" has these chunks.
func dcpCut(size string, chunks ...string) []byte { return dcpOf(dcpTensor(dcpFloat, size, chunks...)) }

// dcpAt is one in which the first chunk of "a" lies elsewhere.
func dcpAt(place string) []byte {
	return dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict(append([]string{dcpPlaces[0], place}, dcpPlaces[2:]...)...))
}

// dcpPlanned is one with the paths of a planner.
func dcpPlanned(paths string) []byte {
	return dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict(dcpPlaces...), save.Text("planner_data"), paths)
}

var malformedDCP = []specimen{
	// The pickle.
	{name: "empty", bytes: nil, kind: format.KindPickle},
	{name: "cut", bytes: dcpSound[:len(dcpSound)-1], kind: format.KindPickle},
	{name: "cut-half", bytes: dcpSound[:len(dcpSound)/2], kind: format.KindPickle},
	{name: "more-behind", bytes: append(bytes.Clone(dcpSound), 'N'), kind: format.KindPickle},
	{name: "json", bytes: []byte("{}"), kind: format.KindPickle},
	{name: "calls-a-function", bytes: save.Pickle(save.Call(save.Name("posix", "getpid"), save.Tuple())), kind: format.KindForbidden},
	{name: "another-class", bytes: save.Pickle(save.Name("megatron.core.dist_checkpointing", "ShardedTensor")), kind: format.KindForbidden},
	{name: "none", bytes: save.Pickle("N"), kind: format.KindPickle},
	{name: "dictionary", bytes: save.Pickle(save.Dict(save.Text("state_dict_metadata"), save.Dict())), kind: format.KindPickle},
	{name: "properties-alone", bytes: save.Pickle(dcpFloat), kind: format.KindPickle},

	// What was saved.
	{name: "no-tensors", bytes: save.Pickle(dcpObject("Metadata", save.Text("storage_data"), save.Dict())), kind: format.KindKey},
	{name: "tensors-none", bytes: dcpMetadata("N", save.Dict()), kind: format.KindKey},
	{name: "tensors-empty", bytes: dcpMetadata(save.Dict(), save.Dict()), kind: format.KindUnsupported},
	{name: "tensors-list", bytes: dcpMetadata("]", save.Dict()), kind: format.KindKey},
	{name: "name-number", bytes: dcpMetadata(save.Dict(save.Int(1), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict()), kind: format.KindType},
	{name: "name-twice", bytes: dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...), save.Text("a"), dcpObject("BytesStorageMetadata")), save.Dict(dcpPlaces...)), kind: format.KindDuplicate, tensor: "a", lax: laxName},
	{name: "tensor-none", bytes: dcpOf("N"), kind: format.KindType, tensor: "a"},
	{name: "tensor-chunk", bytes: dcpOf(dcpBoxes[0]), kind: format.KindType, tensor: "a"},
	{name: "bytes-alone", bytes: dcpOf(dcpObject("BytesStorageMetadata")), kind: format.KindUnsupported},
	{name: "no-properties", bytes: dcpOf(dcpTensor("N", dcpSize(4), dcpBoxes...)), kind: format.KindKey, tensor: "a"},
	{name: "properties-dictionary", bytes: dcpOf(dcpTensor(dcpInstance("torch.distributed.checkpoint.metadata", "TensorProperties", save.Dict()), dcpSize(4), dcpBoxes...)), kind: format.KindType, tensor: "a"},
	{name: "properties-short", bytes: dcpOf(dcpTensor(dcpInstance("torch.distributed.checkpoint.metadata", "TensorProperties", save.Tuple(save.Name("torch", "float32"))), dcpSize(4), dcpBoxes...)), kind: format.KindType, tensor: "a"},
	{name: "dtype-text", bytes: dcpOf(dcpTensor(dcpProperties(save.Text("float32"), "torch.strided"), dcpSize(4), dcpBoxes...)), kind: format.KindDType, tensor: "a"},
	{name: "dtype-class", bytes: dcpOf(dcpTensor(dcpProperties(save.Name("torch", "FloatStorage"), "torch.strided"), dcpSize(4), dcpBoxes...)), kind: format.KindDType, tensor: "a"},
	{name: "dtype-complex128", bytes: dcpOf(dcpTensor(dcpProperties(save.Name("torch", "complex128"), "torch.strided"), dcpSize(4), dcpBoxes...)), kind: format.KindDType, tensor: "a"},
	{name: "dtype-another", bytes: dcpOf(dcpTensor(dcpProperties(save.Name("torch", "int32"), "torch.strided"), dcpSize(4), dcpBoxes...)), kind: format.KindShape, tensor: "a"},
	{name: "dtype-pairs", bytes: dcpOf(dcpTensor(dcpProperties(save.Name("torch", "float4_e2m1fn_x2"), "torch.strided"), dcpSize(4), dcpBoxes...)), kind: format.KindUnsupported, tensor: "a"},
	{name: "layout-sparse", bytes: dcpOf(dcpTensor(dcpProperties(save.Name("torch", "float32"), "torch.sparse_coo"), dcpSize(4), dcpBoxes...)), kind: format.KindUnsupported, tensor: "a"},
	{name: "megatron", bytes: dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict(dcpPlaces...), save.Text("mcore_data"), save.Dict(save.Text("a"), save.Dict(save.Text("nd_reformulated_orig_global_shape"), save.Ints(2, 2)))), kind: format.KindUnsupported, tensor: "a"},

	// Sizes and chunks.
	{name: "size-none", bytes: dcpCut("N", dcpBoxes...), kind: format.KindShape, tensor: "a"},
	{name: "size-negative", bytes: dcpCut(save.Ints(-4), dcpBoxes...), kind: format.KindShape, tensor: "a"},
	{name: "size-rank-65", bytes: dcpCut(dcpSize(ones(65)...), dcpBoxes...), kind: format.KindShape, tensor: "a"},
	{name: "size-larger", bytes: dcpCut(dcpSize(5), dcpBoxes...), kind: format.KindShape, tensor: "a"},
	{name: "size-smaller", bytes: dcpCut(dcpSize(3), dcpBoxes...), kind: format.KindShape, tensor: "a"},
	{name: "size-wraps", bytes: dcpCut(dcpSize(1<<62), dcpBoxes...), kind: format.KindShape, tensor: "a"},
	{name: "size-of-two-dimensions", bytes: dcpCut(dcpSize(2, 2), dcpBoxes...), kind: format.KindShape, tensor: "a"},
	{name: "chunks-none", bytes: dcpCut(dcpSize(4)), kind: format.KindShape, tensor: "a"},
	{name: "chunks-tuple", bytes: dcpOf(dcpObject("TensorStorageMetadata", save.Text("properties"), dcpFloat, save.Text("size"), dcpSize(4), save.Text("chunks"), save.Tuple(dcpBoxes...))), kind: format.KindType, tensor: "a"},
	{name: "chunk-missing", bytes: dcpCut(dcpSize(4), dcpBoxes[0]), kind: format.KindShape, tensor: "a"},
	{name: "chunk-twice", bytes: dcpCut(dcpSize(4), dcpBoxes[0], dcpBoxes[0]), kind: format.KindShape, tensor: "a"},
	{name: "chunk-once-more", bytes: dcpCut(dcpSize(4), dcpBoxes[0], dcpBoxes[1], dcpBoxes[1]), kind: format.KindShape, tensor: "a"},
	{name: "chunk-tensor", bytes: dcpCut(dcpSize(4), dcpTensor(dcpFloat, dcpSize(4))), kind: format.KindType, tensor: "a"},
	{name: "chunk-offset-none", bytes: dcpCut(dcpSize(4), dcpBox("N", dcpSize(2))), kind: format.KindShape, tensor: "a"},
	{name: "chunk-offset-negative", bytes: dcpCut(dcpSize(4), dcpBox(save.Ints(-2), dcpSize(2))), kind: format.KindShape, tensor: "a"},
	{name: "chunk-elsewhere", bytes: dcpCut(dcpSize(4), dcpBoxes[0], dcpBox(dcpSize(3), dcpSize(2))), kind: format.KindMissing, tensor: "a"},
	{name: "chunk-larger", bytes: dcpCut(dcpSize(4), dcpBox(dcpSize(0), dcpSize(4))), kind: format.KindShape, tensor: "a"},
	{name: "chunk-of-two-dimensions", bytes: dcpCut(dcpSize(4), dcpBox(dcpSize(0), dcpSize(2, 1)), dcpBoxes[1]), kind: format.KindShape, tensor: "a"},
	{name: "chunk-wraps", bytes: dcpCut(dcpSize(4), dcpBox(dcpSize(0), dcpSize(1<<40, 1<<40)), dcpBoxes[1]), kind: format.KindShape, tensor: "a"},

	// Places.
	{name: "no-places", bytes: save.Pickle(dcpObject("Metadata", save.Text("state_dict_metadata"), save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)))), kind: format.KindKey},
	{name: "places-empty", bytes: dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict()), kind: format.KindMissing, tensor: "a"},
	{name: "index-text", bytes: dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict(save.Text("a"), dcpPlaces[1])), kind: format.KindType},
	{name: "index-without-offset", bytes: dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict(dcpIndex("a", "N"), dcpPlaces[1])), kind: format.KindShape, tensor: "a"},
	{name: "index-twice", bytes: dcpMetadata(save.Dict(save.Text("a"), dcpTensor(dcpFloat, dcpSize(4), dcpBoxes...)), save.Dict(append(dcpPlaces[:2:2], dcpPlaces...)...)), kind: format.KindDuplicate, tensor: "a"},
	{name: "place-none", bytes: dcpAt("N"), kind: format.KindType, tensor: "a"},
	{name: "place-of-another-class", bytes: dcpAt(dcpBoxes[0]), kind: format.KindType, tensor: "a"},
	{name: "place-parent", bytes: dcpAt(dcpPlace("../x.distcp", 0, 1)), kind: format.KindShardName, tensor: "a"},
	{name: "place-absolute", bytes: dcpAt(dcpPlace("/x.distcp", 0, 1)), kind: format.KindShardName, tensor: "a"},
	{name: "place-in-a-folder", bytes: dcpAt(dcpPlace("x/x.distcp", 0, 1)), kind: format.KindShardName, tensor: "a"},
	{name: "place-without-name", bytes: dcpAt(dcpPlace("", 0, 1)), kind: format.KindShardName, tensor: "a"},
	{name: "place-gone", bytes: dcpAt(dcpPlace("__1_0.distcp", 0, 1)), kind: format.KindMissing, tensor: "a"},
	{name: "place-negative", bytes: dcpAt(dcpPlace(dcpFileName, -1, len(dcpFirst))), kind: format.KindOffsets, tensor: "a"},
	{name: "place-length-negative", bytes: dcpAt(dcpPlace(dcpFileName, 0, -1)), kind: format.KindOffsets, tensor: "a"},
	{name: "place-beyond", bytes: dcpAt(dcpPlace(dcpFileName, len(dcpFile)+1, 0)), kind: format.KindTruncated, tensor: "a"},
	{name: "place-longer", bytes: dcpAt(dcpPlace(dcpFileName, len(dcpFirst), len(dcpFirst)+1)), kind: format.KindTruncated, tensor: "a"},
	{name: "place-wraps", bytes: dcpAt(dcpPlace(dcpFileName, 1<<62, 1<<62)), kind: format.KindTruncated, tensor: "a"},
	{name: "place-one-more", bytes: dcpAt(dcpPlace(dcpFileName, 0, len(dcpFirst)+1)), kind: format.KindTruncated},
	{name: "place-one-less", bytes: dcpAt(dcpPlace(dcpFileName, 1, len(dcpFirst)-1)), kind: format.KindUnsupported},
	{name: "place-empty", bytes: dcpAt(dcpPlace(dcpFileName, 0, 0)), kind: format.KindTruncated},
	{name: "place-transformed", bytes: dcpAt(dcpPlace(dcpFileName, 0, len(dcpFirst), save.Text("transform_descriptors"), "]"+save.Text("zstd")+"a")), kind: format.KindCompression, tensor: "a"},
	{name: "place-of-text", bytes: dcpAt(dcpInstance("torch.distributed.checkpoint.filesystem", "_StorageInfo", save.Dict(save.Text("relative_path"), save.Int(0)))), kind: format.KindOffsets, tensor: "a"},

	// Paths of the planner.
	{name: "path-of-none", bytes: dcpPlanned(save.Dict(save.Text("a"), save.Tuple("N", save.Text("a")))), kind: format.KindType, tensor: "a"},
	{name: "path-ends-with-none", bytes: dcpPlanned(save.Dict(save.Text("a"), save.Tuple(save.Text("x"), "N"))), kind: format.KindUnsupported},
	{name: "path-too-deep", bytes: dcpPlanned(save.Dict(save.Text("a"), save.Tuple(strings.Split(strings.Repeat(save.Text("x")+"|", 70)+save.Text("a"), "|")...))), kind: format.KindUnsupported},
}

// openDCP opens a directory with that .metadata and the two chunks, in memory. Whatever file is at fault, the error is that of the
// specimen.
func openDCP(path string, file []byte) error {
	c, err := openDCPFolder(file, "")
	if err == nil {
		return c.Close()
	}
	var fault *format.Error
	if !errors.As(err, &fault) {
		return err
	}
	return &format.Error{Path: path, Tensor: fault.Tensor, Kind: fault.Kind, Detail: strconv.Quote(err.Error())}
}

func openDCPFolder(metadata []byte, key string) (*torch.Checkpoint, error) {
	dir := format.FolderOf("x", fstest.MapFS{dcp.MetadataName: &fstest.MapFile{Data: metadata}})
	return dcp.Open(dir, key, func(name string) (torch.Source, error) {
		if name != dcpFileName {
			return nil, fs.ErrNotExist
		}
		return &inMemory{Reader: bytes.NewReader(dcpFile), path: dir.Join(name), data: dcpFile}, nil
	})
}
