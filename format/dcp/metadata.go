package dcp

import (
	"fmt"
	"strings"

	"weld/format"
	"weld/format/pickle"
	"weld/format/torch"
)

// The modules of the classes that .metadata is made of.
const (
	metadataModule = "torch.distributed.checkpoint.metadata"
	storageModule  = "torch.distributed.checkpoint.filesystem"
)

func class(name string) pickle.Global { return pickle.Global{Module: metadataModule, Name: name} }

// vocabulary is torch's, with those classes. Instances are kept as they are described.
func vocabulary() pickle.Vocabulary {
	v := torch.Vocabulary()
	for _, g := range []pickle.Global{
		class("Metadata"), class("TensorStorageMetadata"), class("BytesStorageMetadata"), class("ChunkStorageMetadata"), class("TensorProperties"),
		class("MetadataIndex"), class("StorageMeta"), class("_MEM_FORMAT_ENCODING"), {Module: storageModule, Name: "_StorageInfo"},
	} {
		v[g] = pickle.Instance(g)
	}
	return v
}

// metadata is what .metadata says.
type metadata struct {
	path    string
	tensors map[string]*saved
	tree    *pickle.Dict // of what was saved, with a [*torch.Tensor] for each tensor and nil for what is none
	leaves  map[*torch.Tensor]*saved
}

// saved is a tensor that was saved.
type saved struct {
	name   string
	dtype  format.DType
	shape  []int64
	odd    string // the name of a type that format lacks
	chunks []chunk
}

// chunk is a box of a tensor, and where it was written.
type chunk struct {
	offset, shape []int64
	at            *stored
}

// stored is a range of a file.
type stored struct {
	file          string
	begin, length int64
}

func (m *metadata) fault(kind format.Kind, tensor, text string, args ...any) error {
	return &format.Error{Path: m.path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(text, args...)}
}

// parse reads .metadata.
func parse(path string, raw []byte) (*metadata, error) {
	m := &metadata{path: path, tensors: make(map[string]*saved), leaves: make(map[*torch.Tensor]*saved)}
	value, err := pickle.Read(raw, pickle.Options{Vocabulary: vocabulary()})
	if err != nil {
		return nil, torch.Explain(path, MetadataName, err)
	}
	root, ok := instance(value, "Metadata")
	if !ok {
		return nil, m.fault(format.KindPickle, "", "%s, where torch.distributed.checkpoint writes its Metadata", pickle.Kind(value))
	}
	if err := m.megatron(root); err != nil {
		return nil, err
	}
	list, ok := dict(root, "state_dict_metadata")
	if !ok {
		return nil, m.fault(format.KindKey, "", "it does not list what was saved (state_dict_metadata)")
	}
	if err := m.takeTensors(list); err != nil {
		return nil, err
	}
	if err := m.takePlaces(root); err != nil {
		return nil, err
	}
	return m, m.plant(list, root)
}

// instance is an object of a class of .metadata's; nil for anything else.
func instance(v any, name string) (*pickle.Object, bool) {
	if o, ok := v.(*pickle.Object); ok && o.Class == class(name) {
		return o, true
	}
	return nil, false
}

// dict is an attribute that is a dictionary.
func dict(o *pickle.Object, name string) (*pickle.Dict, bool) {
	v, _ := o.Get(name)
	d, ok := v.(*pickle.Dict)
	return d, ok
}

// megatron refuses tensors that Megatron-LM writes in another shape. Source: megatron/core/dist_checkpointing/strategies/torch.py
// (mcore_to_pyt_state_dict, nd_reformulated_orig_global_shape) of Megatron-LM 0.14.
func (m *metadata) megatron(root *pickle.Object) error {
	data, ok := dict(root, "mcore_data")
	if !ok {
		return nil
	}
	for _, item := range data.Items {
		if of, isDict := item.Value.(*pickle.Dict); isDict && len(of.Items) > 0 {
			name, _ := item.Key.(string)
			return m.fault(format.KindUnsupported, name, "Megatron-LM has written it in another shape than it has")
		}
	}
	return nil
}

// takeTensors reads what was saved.
func (m *metadata) takeTensors(list *pickle.Dict) error {
	for _, item := range list.Items {
		name, ok := item.Key.(string)
		if !ok {
			return m.fault(format.KindType, "", "%s as a name", pickle.Kind(item.Key))
		}
		if _, again := m.tensors[name]; again {
			return m.fault(format.KindDuplicate, name, "it is listed twice")
		}
		if _, isBytes := instance(item.Value, "BytesStorageMetadata"); isBytes {
			m.tensors[name] = nil
			continue
		}
		t, err := m.tensor(name, item.Value)
		if err != nil {
			return err
		}
		m.tensors[name] = t
	}
	return nil
}

// tensor reads what is said of a tensor.
func (m *metadata) tensor(name string, value any) (*saved, error) {
	o, ok := instance(value, "TensorStorageMetadata")
	if !ok {
		return nil, m.fault(format.KindType, name, "%s, where a tensor or bytes are described", pickle.Kind(value))
	}
	t := &saved{name: name}
	properties, _ := o.Get("properties")
	p, _ := instance(properties, "TensorProperties")
	if p == nil {
		return nil, m.fault(format.KindKey, name, "its properties are %s", pickle.Kind(properties))
	}
	state, ok := p.State.(pickle.Tuple) // dtype, layout, requires_grad, memory format, pinned[, strides]
	if !ok || len(state) < 5 {
		return nil, m.fault(format.KindType, name, "its properties have %s for a state", pickle.Kind(p.State))
	}
	if t.dtype, t.odd, ok = torch.DTypeOf(state[0]); !ok {
		return nil, m.fault(format.KindDType, name, "its dtype is %s", pickle.Kind(state[0]))
	}
	if layout, _ := state[1].(string); layout != "torch.strided" {
		return nil, m.fault(format.KindUnsupported, name, "its layout is %q, where a plain dense tensor is needed", layout)
	}
	var err error
	if t.shape, err = m.sizes(o, name, "size"); err != nil {
		return nil, err
	}
	chunks, _ := o.Get("chunks")
	l, ok := chunks.(*pickle.List)
	if !ok {
		return nil, m.fault(format.KindType, name, "its chunks are %s", pickle.Kind(chunks))
	}
	for _, item := range l.Items {
		c, _ := instance(item, "ChunkStorageMetadata")
		if c == nil {
			return nil, m.fault(format.KindType, name, "%s as a chunk", pickle.Kind(item))
		}
		var box chunk
		if box.offset, err = m.sizes(c, name, "offsets"); err == nil {
			box.shape, err = m.sizes(c, name, "sizes")
		}
		if err != nil {
			return nil, err
		}
		t.chunks = append(t.chunks, box)
	}
	return t, nil
}

// sizes is an attribute that is a torch.Size.
func (m *metadata) sizes(o *pickle.Object, tensor, name string) ([]int64, error) {
	v, _ := o.Get(name)
	list, err := torch.Sizes(v)
	switch {
	case err != nil:
		return nil, m.fault(format.KindShape, tensor, "%s: %v", name, err)
	case len(list) > format.MaxRank:
		return nil, m.fault(format.KindShape, tensor, "%s of %d dimensions; weld reads at most %d", name, len(list), format.MaxRank)
	}
	return list, nil
}

// takePlaces reads where the boxes are.
func (m *metadata) takePlaces(root *pickle.Object) error {
	list, ok := dict(root, "storage_data")
	if !ok {
		return m.fault(format.KindKey, "", "it does not say where things are (storage_data)")
	}
	places := make(map[string]*stored, len(list.Items))
	for _, item := range list.Items {
		index, _ := instance(item.Key, "MetadataIndex")
		if index == nil {
			return m.fault(format.KindType, "", "%s as the index of a place", pickle.Kind(item.Key))
		}
		fqn, _ := index.Get("fqn")
		name, _ := fqn.(string)
		if m.tensors[name] == nil { // bytes, or what nobody lists
			continue
		}
		offset, err := m.sizes(index, name, "offset")
		if err != nil {
			return err
		}
		at, err := m.place(name, item.Value)
		if err != nil {
			return err
		}
		key := boxKey(name, offset)
		if places[key] != nil {
			return m.fault(format.KindDuplicate, name, "two places are given for its chunk at %v", offset)
		}
		places[key] = at
	}
	for _, t := range m.tensors {
		if t == nil {
			continue
		}
		for i := range t.chunks {
			t.chunks[i].at = places[boxKey(t.name, t.chunks[i].offset)]
		}
	}
	return nil
}

// boxKey is the same for the same tensor and offset alone.
func boxKey(name string, offset []int64) string { return fmt.Sprint(len(name), name, offset) }

// place reads where a box is.
func (m *metadata) place(tensor string, value any) (*stored, error) {
	o, ok := value.(*pickle.Object)
	if !ok || o.Class != (pickle.Global{Module: storageModule, Name: "_StorageInfo"}) {
		return nil, m.fault(format.KindType, tensor, "%s as the place of a chunk", pickle.Kind(value))
	}
	if v, _ := o.Get("transform_descriptors"); v != nil {
		if l, isList := v.(*pickle.List); !isList || len(l.Items) > 0 {
			return nil, m.fault(format.KindCompression, tensor, "its bytes went through a transform when they were written")
		}
	}
	path, _ := o.Get("relative_path")
	begin, _ := o.Get("offset")
	length, _ := o.Get("length")
	at := new(stored)
	var isText, isBegin, isLength bool
	at.file, isText = path.(string)
	at.begin, isBegin = begin.(int64)
	at.length, isLength = length.(int64)
	if !isText || !isBegin || !isLength || at.begin < 0 || at.length < 0 {
		return nil, m.fault(format.KindOffsets, tensor, "the place of a chunk is %s, %s, %s", pickle.Kind(path), pickle.Kind(begin), pickle.Kind(length))
	}
	if fault := format.NameFault(at.file); fault != "" {
		return nil, m.fault(format.KindShardName, tensor, "expected a plain file name, found %q, which %s", clip(at.file), fault)
	}
	return at, nil
}

// clip is the beginning of a name, for messages.
func clip(name string) string {
	const most = 100
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}
