package packs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/safetensors"
	"weld/mmapio"
)

// A checkpoint comes out of a pack as it went in, from a file and from a pipe; and the pack is read as a
// checkpoint without being unpacked.
func TestPackUnpack(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	dir := write(t, tensors(), 1, nil)
	pack := filepath.Join(tmp, "x.weld")
	r, err := Pack(ctx, dir, pack, options(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(pack)
	if err != nil || info.Size() != r.Packed || r.Ratio() > 0.8 || r.Files != len(contents(t, dir)) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Unpack(ctx, pack, filepath.Join(tmp, "out"), options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "out"), dir)

	var piped bytes.Buffer
	if _, err := Pack(ctx, dir, Stream, options(nil, &piped)); err != nil {
		t.Fatal(err)
	}
	if file, _ := os.ReadFile(pack); !bytes.Equal(file, piped.Bytes()) {
		t.Error("the pack in the pipe is another one")
	}
	if _, err := Unpack(ctx, Stream, filepath.Join(tmp, "piped"), options(piped.Bytes(), nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "piped"), dir)

	a, errA := open.Checkpoint(dir)
	b, errB := open.Checkpoint(pack)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	for i, want := range a.Tensors() {
		k, ok := b.Find(want.Name)
		if !ok {
			t.Fatalf("no tensor %s in the pack", want.Name)
		}
		v, err := a.View(i, 0, want.Bytes())
		w, err2 := b.View(k, 0, want.Bytes())
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(v.Data, w.Data) {
			t.Errorf("%s: %v", want.Name, err)
		}
		v.Release()
		w.Release()
	}
	if text, err := fs.ReadFile(format.Beside(b), "additional_chat_templates/rag.jinja"); err != nil || string(text) != "{{ x }}" {
		t.Errorf("beside the pack: %q, %v", text, err)
	}
}

// One file goes through pipes on both sides.
func TestPipes(t *testing.T) {
	ctx := context.Background()
	dir := write(t, tensors()[1:3], 1, nil)
	file, err := os.ReadFile(filepath.Join(dir, safetensors.SingleName))
	if err != nil {
		t.Fatal(err)
	}
	var pack, back bytes.Buffer
	if _, err := Pack(ctx, Stream, Stream, options(file, &pack)); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(ctx, Stream, Stream, options(pack.Bytes(), &back)); err != nil || !bytes.Equal(back.Bytes(), file) {
		t.Errorf("%v, or other bytes", err)
	}
	for _, bad := range [][]byte{nil, file[:5], file[:100], file[:len(file)-1], append(bytes.Clone(file), 0)} {
		if _, err := Pack(ctx, Stream, Stream, options(bad, &bytes.Buffer{})); format.KindOf(err) == "" {
			t.Errorf("%d bytes of %d: %v", len(bad), len(file), err)
		}
	}
}

// Every flipped byte of a pack and of a patch is found, and every cut.
func TestVerifyFindsDamage(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	small := []format.Tensor{{Name: "w", DType: format.BF16, Shape: []int64{40, 10}}, {Name: "v", DType: format.F32, Shape: []int64{9}}}
	base := write(t, small, 1, nil)
	next := write(t, small, 1, func(_ string, x []float64) { x[3] += 0.1 })
	for _, dir := range []string{base, next} {
		put(t, filepath.Join(dir, "tokenizer.json"), []byte("short"))
	}
	pack, patch := filepath.Join(tmp, "x.weld"), filepath.Join(tmp, "x.weldpatch")
	if _, err := Pack(ctx, base, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := Patch(ctx, base, next, patch, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pack, patch} {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		verify := func(data []byte, onDisk bool) *Verification {
			t.Helper()
			name := Stream
			if onDisk {
				name = put(t, filepath.Join(tmp, "bad"+filepath.Ext(path)), data)
			}
			v, err := Verify(ctx, name, "", options(data, nil))
			if format.KindOf(err) == format.KindUnsupported && !bytes.Equal(data[:16], whole[:16]) {
				return &Verification{Damage: []Damage{{What: err.Error()}}} // it says that it is something else
			}
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := verify(whole, true); len(v.Damage) > 0 || v.Digest == "" {
			t.Fatalf("%s: %v", path, v.Damage)
		}
		for i := range whole {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << (i % 8)
			if v := verify(bad, i%16 == 0); len(v.Damage) == 0 {
				t.Errorf("%s: byte %d of %d is damaged, which is not found", filepath.Ext(path), i, len(whole))
			}
			if v := verify(whole[:i], i%16 == 0); len(v.Damage) == 0 {
				t.Errorf("%s: cut after %d of %d bytes, which is not found", filepath.Ext(path), i, len(whole))
			}
		}
	}
}

// Damage is named by the tensor that it is in, and everything else is saved.
func TestSalvage(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	dir := write(t, tensors(), 1, nil)
	pack := filepath.Join(tmp, "x.weld")
	if _, err := Pack(ctx, dir, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(whole)
	at := bytes.Index(bad, []byte("DATA")) // a block of a small file; the tensors' come later
	for range 12 {
		at += 4 + bytes.Index(bad[at+4:], []byte("DATA"))
	}
	bad[at+100]++
	path := put(t, filepath.Join(tmp, "bad.weld"), bad)
	v, err := Verify(ctx, path, "", options(nil, nil))
	if err != nil || len(v.Damage) != 1 || v.Damage[0].Tensor == "" {
		t.Fatalf("%+v, %v", v, err)
	}
	lost := v.Damage[0].Tensor
	s, err := SalvagePack(ctx, path, filepath.Join(tmp, "rest"), options(nil, nil))
	if err != nil || len(s.Lost) != 1 || s.Lost[0].Tensor != lost || s.Tensors != len(tensors())-1 {
		t.Fatalf("%+v, %v", s, err)
	}
	rest, err := open.Checkpoint(filepath.Join(tmp, "rest"))
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Close()
	if _, there := rest.Find(lost); there || len(rest.Tensors()) != len(tensors())-1 {
		t.Errorf("%d tensors; the lost one among them: %v", len(rest.Tensors()), there)
	}

	// Without its end, records are looked for from the beginning, over places where there are none.
	for name, data := range map[string][]byte{
		"cut":      whole[:at+50],
		"no index": whole[:len(whole)-200],
		"garbled":  append(append(bytes.Clone(whole[:at]), make([]byte, 30)...), whole[at+30:len(whole)-200]...),
	} {
		path := put(t, filepath.Join(tmp, name+".weld"), data)
		s, err := SalvagePack(ctx, path, filepath.Join(tmp, name), options(nil, nil))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := contents(t, filepath.Join(tmp, name)); !bytes.Equal(got["tokenizer.json"], contents(t, dir)["tokenizer.json"]) {
			t.Errorf("%s: a file before the damage is not restored", name)
		}
		if name == "no index" && (s.Tensors != len(tensors()) || len(s.Lost) > 0) || name == "garbled" && s.Tensors != len(tensors())-1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// What is in the way stays, and nothing half-written does.
func TestOutputs(t *testing.T) {
	tmp := t.TempDir()
	dir := write(t, tensors()[1:3], 1, nil)
	ctx := context.Background()
	taken := put(t, filepath.Join(tmp, "taken.weld"), []byte("mine"))
	if _, err := Pack(ctx, dir, taken, options(nil, nil)); !errors.Is(err, mmapio.ErrExists) {
		t.Errorf("a file in the way: %v", err)
	}
	if _, err := Pack(ctx, dir, filepath.Join(tmp, "x.zip"), options(nil, nil)); err == nil {
		t.Error("another ending")
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := Pack(stopped, dir, filepath.Join(tmp, "x.weld"), options(nil, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	o := options(nil, nil)
	o.Force = true
	if _, err := Pack(ctx, dir, taken, o); err != nil {
		t.Error(err)
	}
	if _, err := Unpack(stopped, taken, filepath.Join(tmp, "out"), options(nil, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := Unpack(ctx, taken, filepath.Join(tmp, "x.safetensors"), options(nil, nil)); err == nil {
		t.Error("several files in one")
	}
	entries, err := os.ReadDir(tmp)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the one pack", entries, err)
	}
}
