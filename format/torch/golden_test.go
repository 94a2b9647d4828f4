package torch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/formattest"
	"weld/internal/torchsave"
	"weld/mmapio"
)

// The files of testdata are torch's (.ci/interop/torch_golden.py); *.want.safetensors are the values that torch reads from them.

func source(t *testing.T, path string) Source {
	t.Helper()
	f, err := mmapio.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// opened opens a file of testdata, of which a key may follow #, or a folder.
func opened(t *testing.T, name string) (*Checkpoint, error) {
	t.Helper()
	name, key, _ := strings.Cut(name, "#")
	path := filepath.Join("testdata", name)
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return OpenFile(path, source(t, path), key)
	}
	dir := format.Directory(path)
	return OpenFolder(dir, key, func(name string) (Source, error) { return mmapio.Open(dir.Join(name)) })
}

func TestGoldens(t *testing.T) {
	for name, want := range map[string]string{
		"dtypes.pt": "dtypes", "views.pt": "views", "trainer.pt": "trainer", "zip64.pt": "protocol2",
		"protocol2.pt": "protocol2", "protocol3.pt": "protocol3", "protocol4.pt": "protocol4", "protocol5.pt": "protocol5",
		"pair.pt#ema": "pair.ema", "pair.pt#.": "pair.all", "apart.pt#.": "apart.all", "trainer.pt#state_dict": "trainer",
		"sharded": "sharded", "llama2": "llama", "llama3": "llama",
	} {
		t.Run(name, func(t *testing.T) {
			wanted := formattest.Open(t, "testdata/"+want+".want.safetensors")
			c, err := opened(t, name)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if len(c.Tensors()) != len(wanted.Tensors()) {
				t.Errorf("%d tensors, want %d", len(c.Tensors()), len(wanted.Tensors()))
			}
			formattest.Hold(t, c, wanted)
		})
	}
}

// TestStored holds that what lies in a row is copied within the system, and what does not is not.
func TestStored(t *testing.T) {
	c, err := opened(t, "views.pt")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[string]bool{"whole": true, "rows": true, "row": true, "element": true, "scalar": true, "turned": false, "columns": false, "expanded": false, "channels": false} {
		i, _ := c.Find(name)
		if file, _ := c.Stored(i); (file != nil) != want {
			t.Errorf("%s is stored: %v", name, !want)
		}
	}
	if cost := c.ViewCost(100); cost < 100+1<<20 {
		t.Errorf("a view of 100 bytes costs %d", cost)
	}
	if _, err := c.View(0, 1, c.Tensors()[0].Bytes()); err == nil {
		t.Error("a view beyond the tensor")
	}
}

func TestNotes(t *testing.T) {
	for name, want := range map[string][]string{
		"trainer.pt":            {"the state dict under state_dict is taken", "left out, as no weights: epoch, optimizer, best, loss, args, … (9)"},
		"trainer.pt#state_dict": nil,
		"views.pt":              {"same bytes, as tied weights are: whole = tied"},
		"sharded":               nil,
	} {
		c, err := opened(t, name)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Notes()) != len(want) {
			t.Errorf("%s: %q, want %q", name, c.Notes(), want)
			continue
		}
		for i, note := range c.Notes() {
			if !strings.Contains(note, want[i]) {
				t.Errorf("%s: %q, want %q", name, note, want[i])
			}
		}
		if name == "trainer.pt" && (c.Metadata()["weld.statistic"] != "adam_second_moment" || len(c.Metadata()) != 1) {
			t.Errorf("metadata %v", c.Metadata())
		}
		c.Close()
	}
}

// TestRefused opens what torch saves and weld does not read.
func TestRefused(t *testing.T) {
	for name, want := range map[string]struct {
		kind   format.Kind
		tensor string
		says   string
	}{
		"odd-sparse.pt":           {format.KindUnsupported, "w", "a sparse tensor (torch._utils._rebuild_sparse_tensor)"},
		"odd-csr.pt":              {format.KindUnsupported, "w", "a sparse tensor"},
		"odd-quantised.pt":        {format.KindUnsupported, "w", "a quantised tensor (torch._utils._rebuild_qtensor)"},
		"odd-meta.pt":             {format.KindUnsupported, "w", "the device meta"},
		"odd-conjugate.pt":        {format.KindUnsupported, "w", "conjugated or negated"},
		"odd-complex128.pt":       {format.KindDType, "w", "torch.complex128"},
		"odd-complex32.pt":        {format.KindDType, "w", "torch.complex32"},
		"odd-nested.pt":           {format.KindUnsupported, "w", "a nested tensor"},
		"odd-array.pt":            {format.KindUnsupported, "w", "a numpy array of shape [3] in the place of a tensor"},
		"forbidden-subclass.pt":   {format.KindForbidden, "", "asks for __main__.Odd"},
		"forbidden-module.pt":     {format.KindForbidden, "", "asks for __main__.Net, which is no name that tensors are made of: Python would import it, and run it (a whole module was saved"},
		"forbidden-function.pt":   {format.KindForbidden, "", "asks for posix.getcwd"},
		"old.pt":                  {format.KindUnsupported, "", "weights_only=True), f.rsplit('.', 1)[0] + '.new.pt') for f in sys.argv[1:]]\" testdata/old.pt"},
		"script.pt":               {format.KindUnsupported, "", "TorchScript"},
		"big.pt":                  {format.KindUnsupported, "", "big-endian"},
		"tensor.pt":               {format.KindUnsupported, "", "a tensor was saved by itself"},
		"list.pt":                 {format.KindUnsupported, "", "no weights are in it, in the values of its keys 0, 1"},
		"optimizer.pt":            {format.KindUnsupported, "", "an optimizer's state (step, exp_avg, exp_avg_sq), and no weights"},
		"pair.pt":                 {format.KindIndex, "", "2 state dicts are in it: name the one that is meant, testdata/pair.pt#model (2 tensors), testdata/pair.pt#ema (2 tensors), or testdata/pair.pt#. for all"},
		"apart.pt":                {format.KindIndex, "", "testdata/apart.pt#encoder (2 tensors), testdata/apart.pt#7 (1 tensor)"},
		"pair.pt#model.c":         {format.KindUnsupported, "", `"model.c" is a tensor, and no state dict`},
		"pair.pt#mode":            {format.KindKey, "", `there is no "mode" in it; its keys are model, ema`},
		"trainer.pt#args":         {format.KindUnsupported, "", `"args" is a argparse.Namespace`},
		"dtypes.want.safetensors": {format.KindForeign, "", "a safetensors file, whatever its name says"},
	} {
		c, err := opened(t, name)
		var fault *format.Error
		if !errors.As(err, &fault) || c != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if fault.Kind != want.kind || fault.Tensor != want.tensor || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %s of %q, want %s of %q with %q: %v", name, fault.Kind, fault.Tensor, want.kind, want.tensor, want.says, err)
		}
	}
}

// TestSpread says of a tensor that is spread over processes, as FSDP saves them without torch.distributed.checkpoint, what to do.
func TestSpread(t *testing.T) {
	for _, class := range []string{"torch.distributed._shard.sharded_tensor.api.ShardedTensor", "torch.distributed.tensor.DTensor", "torch.distributed.device_mesh.DeviceMesh"} {
		at := strings.LastIndexByte(class, '.')
		path := filepath.Join(t.TempDir(), "pytorch_model_fsdp_0_rank0.bin")
		value := torchsave.Dict(torchsave.Text("w"), torchsave.Name(class[:at], class[at+1:])+")\x81")
		if err := os.WriteFile(path, torchsave.Archive("a", false, torchsave.Entry{Name: "data.pkl", Data: torchsave.Pickle(value)}), 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := mmapio.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := OpenFile(path, src, "")
		if c != nil || format.KindOf(err) != format.KindForbidden || !strings.Contains(err.Error(), class) || !strings.Contains(err.Error(), "save with torch.distributed.checkpoint") {
			t.Errorf("%s: %v, %v", class, c, err)
		}
	}
}
