package open

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/safetensors"
)

// TestExplain opens what people have in place of a checkpoint.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		files string // the name that is opened, and what is there
		kind  format.Kind
		says  string
	}{
		{"m m/pytorch_model.bin m/config.json", format.KindUnsupported, "m/pytorch_model.bin: no file that torch.save wrote"},
		{"m m/pytorch_model-1.bin m/pytorch_model-2.bin m/pytorch_model-3.bin m/pytorch_model-4.bin", format.KindIndex, "pytorch_model-3.bin, pytorch_model-4.bin; name the file that is meant"},
		{"m m/consolidated.00.pth", format.KindUnsupported, "m/consolidated.00.pth: no file that torch.save wrote"},
		{"m m/model.Q4_K_M.ggml", format.KindUnsupported, "the format of llama.cpp before GGUF; take the checkpoint that it was made from"},
		{"m m/model.Q4_K_M.gguf m/config.json", format.KindTruncated, "m/model.Q4_K_M.gguf: expected 24 bytes"},
		{"m m/a-Q4_K.gguf m/a-Q8_0-00001-of-00002.gguf m/a-Q8_0-00002-of-00002.gguf", format.KindUnsupported, "name one of a-Q4_K.gguf, a-Q8_0-*-of-00002.gguf"},
		{"m m/model.onnx", format.KindUnsupported, "a format for running models"},
		{"m m/tf_model.h5", format.KindUnsupported, "from_tf=True"},
		{"m m/flax_model.msgpack m/x", format.KindUnsupported, "from_flax=True"},
		{"m m/weights.00.npz", format.KindUnsupported, "import sys, numpy"},
		{"m m/model.weld", format.KindMissing, "a pack is named by itself: m/model.weld"},
		{"m m/unet/a.safetensors m/vae/b.safetensors m/scheduler/x.json", format.KindMissing, "in folders of it, each a checkpoint of its own: m/unet, m/vae"},
		{"m m/training_args.bin", format.KindMissing, "no other safetensors file in this directory"},
		{"m/x.bin m/x.bin", format.KindUnsupported, "no file that torch.save wrote: it does not begin as a zip file does"},
		{"m/old.pt m/old.pt", format.KindUnsupported, "no file that torch.save wrote"},
		{"m/x.safetensors#key m/x.safetensors", format.KindUnsupported, "#key: only files that torch.save wrote"},
		{"m#key m/x.safetensors", format.KindMissing, "no pytorch_model.bin"},
		{"m/README.md m/README.md", format.KindUnsupported, Readable},
		{"m/x.weldpatch m/x.weldpatch", format.KindUnsupported, "a patch, which is no checkpoint by itself: weld apply BASE PATCH OUT makes one"},
		{"own/model", format.KindMissing, "hf download own/model"},
		{"own/tokenizer", format.KindMissing, "the snapshot in the Hub cache is incomplete; to complete it, run: hf download own/tokenizer --revision c0ffee"},
		{"own/half", format.KindMissing, "a shard that " + safetensors.IndexName + " names is not there; the snapshot in the Hub cache is incomplete, and a download was interrupted; to complete it, run: hf download own/half --revision c0ffee"},
		{"own/broken", format.KindMissing, "model.safetensors: a link to ../../blobs/aa, which is not there; the snapshot"},
	} {
		t.Chdir(t.TempDir())
		t.Setenv("HF_HUB_CACHE", "cache")
		name, files, _ := strings.Cut(c.files, " ")
		for _, file := range strings.Fields(files) {
			put(t, ".", file, []byte("?"))
		}
		for _, file := range []string{
			"tokenizer/snapshots/c0ffee/tokenizer.json", "half/blobs/bb.1234.incomplete", "broken/snapshots/c0ffee/config.json",
		} {
			put(t, "cache", "models--own--"+file, []byte("?"))
		}
		for _, repo := range []string{"tokenizer", "half", "broken"} {
			put(t, "cache", "models--own--"+repo+"/refs/main", []byte("c0ffee"))
		}
		index := safetensors.Index{WeightMap: []safetensors.Weight{{Name: "a", Shard: "1.safetensors"}}}
		put(t, "cache", "models--own--half/snapshots/c0ffee/"+safetensors.IndexName, index.Append(nil))
		if err := os.Symlink("../../blobs/aa", filepath.FromSlash("cache/models--own--broken/snapshots/c0ffee/model.safetensors")); err != nil {
			t.Skip(err)
		}
		_, err := Checkpoint(name)
		if format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%q), want %q", c.files, err, format.KindOf(err), c.says)
		}
	}
}
