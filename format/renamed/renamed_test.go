package renamed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"weld/format"
	"weld/format/names"
	"weld/format/open"
	"weld/mmapio"
)

// save writes a safetensors file of 16-bit words that count up over all tensors, in the order given.
func save(t *testing.T, tensors []format.Tensor) string {
	t.Helper()
	header, data := "{", []byte{}
	for i, x := range tensors {
		if i > 0 {
			header += ","
		}
		begin := len(data)
		for range x.Elements() {
			data = binary.LittleEndian.AppendUint16(data, uint16(len(data)/2))
		}
		header += fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, x.Name, x.DType, shapeText(x.Shape), begin, len(data))
	}
	header += "}"
	for len(header)%8 != 0 {
		header += " "
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	if err := os.WriteFile(path, append(file, data...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func shapeText(shape []int64) string {
	text := ""
	for i, d := range shape {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprint(d)
	}
	return "[" + text + "]"
}

func tensorOf(name string, shape ...int64) format.Tensor {
	return format.Tensor{Name: name, DType: format.BF16, Shape: shape}
}

// show opens a checkpoint with tensors under the names of others.
func show(t *testing.T, stored, wanted []format.Tensor) format.Checkpoint {
	t.Helper()
	c, err := open.Checkpoint(save(t, stored), mmapio.Mapped)
	if err != nil {
		t.Fatal(err)
	}
	m := names.Meet(wanted, c.Tensors(), c.Find)
	if missing := m.Missing(); len(missing) > 0 {
		t.Fatalf("%d are missing: %v", len(missing), m)
	}
	s, err := Show(c, wanted, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// layouts are the same experts in every layout: 3 experts, gates and ups of 2 rows, 5 columns wide.
var apart = []format.Tensor{
	tensorOf("l.0.experts.0.gate_proj.weight", 2, 5), tensorOf("l.0.experts.0.up_proj.weight", 2, 5),
	tensorOf("l.0.experts.1.gate_proj.weight", 2, 5), tensorOf("l.0.experts.1.up_proj.weight", 2, 5),
	tensorOf("l.0.experts.2.gate_proj.weight", 2, 5), tensorOf("l.0.experts.2.up_proj.weight", 2, 5),
	tensorOf("l.0.experts.0.down_proj.weight", 5, 2), tensorOf("l.0.experts.1.down_proj.weight", 5, 2), tensorOf("l.0.experts.2.down_proj.weight", 5, 2),
}

var together = []format.Tensor{tensorOf("model.l.0.experts.gate_up_proj", 3, 4, 5), tensorOf("model.l.0.experts.down_proj", 3, 5, 2)}

// bytesOf are the words that count from one, as save writes them.
func bytesOf(first, n int64) (b []byte) {
	for k := range n {
		b = binary.LittleEndian.AppendUint16(b, uint16(first+k))
	}
	return b
}

// compare reads every range of every tensor and holds it against the whole.
func compare(t *testing.T, c format.Checkpoint, want map[string][]byte) {
	t.Helper()
	if len(c.Tensors()) != len(want) {
		t.Errorf("%d tensors, want %d", len(c.Tensors()), len(want))
	}
	for i, x := range c.Tensors() {
		whole := want[x.Name]
		if int64(len(whole)) != x.Bytes() {
			t.Fatalf("%s: %d bytes, want %d", x.Name, x.Bytes(), len(whole))
		}
		for lo := range int64(len(whole)) + 1 {
			for hi := lo; hi <= int64(len(whole)); hi++ {
				for _, lend := range []func(int, int64, int64) (mmapio.View, error){c.View, func(i int, off, n int64) (mmapio.View, error) { return format.Read(c, i, off, n) }} {
					v, err := lend(i, lo, hi-lo)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(v.Data, whole[lo:hi]) {
						t.Fatalf("%s [%d, %d): got %x, want %x", x.Name, lo, hi, v.Data, whole[lo:hi])
					}
					v.Release()
				}
			}
		}
		if _, err := c.View(i, 1, int64(len(whole))); err == nil {
			t.Errorf("%s: a view behind its end", x.Name)
		}
	}
}

func TestJoined(t *testing.T) {
	c := show(t, apart, together)
	compare(t, c, map[string][]byte{"model.l.0.experts.gate_up_proj": bytesOf(0, 60), "model.l.0.experts.down_proj": bytesOf(60, 30)})
	i, ok := c.Find("model.l.0.experts.down_proj")
	if !ok {
		t.Fatal("not found")
	}
	if file, _ := format.Stored(c, i); file != nil {
		t.Error("what is put together is said to lie in a file")
	}
}

func TestSplit(t *testing.T) {
	c := show(t, together, apart)
	want, at := make(map[string][]byte), int64(0)
	for _, x := range apart {
		want[x.Name] = bytesOf(at, x.Elements())
		at += x.Elements()
	}
	compare(t, c, want)
	i, _ := c.Find("l.0.experts.1.up_proj.weight")
	file, begin := format.Stored(c, i)
	if file == nil {
		t.Fatal("a part lies nowhere")
	}
	v, err := file.View(begin, 20)
	if err != nil || !bytes.Equal(v.Data, want["l.0.experts.1.up_proj.weight"]) {
		t.Errorf("a part lies elsewhere: %x, %v", v.Data, err)
	}
	v.Release()
}

// The halves of a matrix that is stored in other rows than it is wanted in.
func TestTurned(t *testing.T) {
	stored := []format.Tensor{tensorOf("l.0.experts.gate_up_proj", 3, 5, 4), tensorOf("l.0.experts.down_proj", 3, 2, 5)}
	wanted := []format.Tensor{tensorOf("l.0.experts.gate_up_proj", 3, 4, 5), tensorOf("l.0.experts.down_proj", 3, 5, 2)}
	turned := func(first, experts, rows, cols int64) (b []byte) {
		for e := range experts {
			for r := range rows {
				for c := range cols {
					b = append(b, bytesOf(first+e*rows*cols+c*rows+r, 1)...)
				}
			}
		}
		return b
	}
	compare(t, show(t, stored, wanted), map[string][]byte{"l.0.experts.gate_up_proj": turned(0, 3, 4, 5), "l.0.experts.down_proj": turned(60, 3, 5, 2)})
}

// A square matrix is stored as the one beside it.
func TestTurnedSquare(t *testing.T) {
	stored := []format.Tensor{tensorOf("l.0.experts.gate_up_proj", 1, 4, 4), tensorOf("l.0.experts.down_proj", 1, 2, 4)}
	wanted := []format.Tensor{tensorOf("l.0.experts.gate_up_proj", 1, 4, 4), tensorOf("l.0.experts.down_proj", 1, 4, 2)}
	c := show(t, stored, wanted)
	i, _ := c.Find("l.0.experts.gate_up_proj")
	v, err := c.View(i, 2, 2)
	if err != nil || !bytes.Equal(v.Data, bytesOf(4, 1)) {
		t.Errorf("element 1 is %x, %v; want that of the second line", v.Data, err)
	}
	v.Release()
}

// A large matrix is turned in blocks of lines.
func TestTurnedBlocks(t *testing.T) {
	const rows, cols = 3000, 1000 // 6 MB, a line of 6000 bytes
	stored := []format.Tensor{tensorOf("l.0.experts.x", 1, cols, rows)}
	wanted := []format.Tensor{tensorOf("l.0.experts.x", 1, rows, cols)}
	c := show(t, stored, wanted)
	v, err := c.View(0, 7*cols*2, 20*cols*2)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	for r := range int64(20) {
		for k := range int64(cols) {
			if got, want := binary.LittleEndian.Uint16(v.Data[2*(r*cols+k):]), uint16(k*rows+7+r); got != want {
				t.Fatalf("row %d, column %d: %d, want %d", 7+r, k, got, want)
			}
		}
	}
	if cost := format.ViewCost(c, 20*cols*2); cost < 20*cols*2+turnBytes {
		t.Errorf("a view is said to cost %d", cost)
	}
}

// Pieces of several types, or of one that weld does not compute with, have no type together.
func TestTypesOfPieces(t *testing.T) {
	for _, dtype := range []format.DType{format.F32, format.I32} {
		stored := append([]format.Tensor{}, apart...)
		for i := range stored {
			if dtype == format.I32 || i == 3 {
				stored[i].DType = dtype
			}
		}
		c, err := open.Checkpoint(saveTyped(t, stored), mmapio.Mapped)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := Show(c, together, names.Meet(together, c.Tensors(), c.Find)); format.KindOf(err) != format.KindDType {
			t.Errorf("%v: got %v", dtype, err)
		}
	}
}

// saveTyped writes a file of zeros.
func saveTyped(t *testing.T, tensors []format.Tensor) string {
	t.Helper()
	header, end := "{", int64(0)
	for i, x := range tensors {
		if i > 0 {
			header += ","
		}
		header += fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, x.Name, x.DType, shapeText(x.Shape), end, end+x.Bytes())
		end += x.Bytes()
	}
	header += "}"
	path := filepath.Join(t.TempDir(), "m.safetensors")
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	if err := os.WriteFile(path, append(file, make([]byte, end)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Picked tensors have the names that are given and the bytes that they had; a place in a file stays one.
func TestPick(t *testing.T) {
	c, err := open.Checkpoint(save(t, apart), mmapio.Mapped)
	if err != nil {
		t.Fatal(err)
	}
	called, want, at := make([]string, len(apart)), make(map[string][]byte), int64(0)
	for i, x := range apart {
		if i%3 != 1 { // reversed, so that none stands where its name would
			called[i] = fmt.Sprintf("t%d", len(apart)-i)
			want[called[i]] = bytesOf(at, x.Elements())
		}
		at += x.Elements()
	}
	s := Pick(c, called)
	defer s.Close()
	compare(t, s, want)
	for i, x := range s.Tensors() {
		file, begin := format.Stored(s, i)
		if file == nil {
			t.Fatalf("%s lies nowhere", x.Name)
		}
		v, err := file.View(begin, x.Bytes())
		if err != nil || !bytes.Equal(v.Data, want[x.Name]) {
			t.Errorf("%s lies elsewhere: %v", x.Name, err)
		}
		v.Release()
	}
	if _, ok := s.Find(apart[0].Name); ok {
		t.Error("a tensor is found under the name that it had")
	}
}

// inBlocks is a checkpoint whose tensors are said to be stored in blocks of their numbers.
type inBlocks struct{ format.Checkpoint }

func (inBlocks) Blocks(i int) (*format.Blocks, []int64) {
	return &format.Blocks{Elements: int64(i)}, []int64{int64(i)}
}

// What is picked is stored as it was; what is put together is not.
func TestBlocks(t *testing.T) {
	c, err := open.Checkpoint(save(t, apart), mmapio.Mapped)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	names := make([]string, len(apart))
	names[2], names[7] = "two", "seven"
	picked := Pick(inBlocks{c}, names)
	for k, want := range []int64{2, 7} {
		if b, shape := format.BlocksOf(picked, k); b == nil || b.Elements != want || shape[0] != want {
			t.Errorf("tensor %d: %v %v", k, b, shape)
		}
	}
	if b, _ := format.BlocksOf(show(t, apart, together), 0); b != nil {
		t.Error("what is put together is said to be in blocks")
	}
}
