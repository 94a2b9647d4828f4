package composed

import (
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// held is a checkpoint of tensors of one byte each, in as many files as it has tensors, that counts how often it is closed.
type held struct {
	names  []string
	closed *int
}

func (h held) Path() string { return "p/" + strings.Join(h.names, "+") }
func (h held) Tensors() (list []format.Tensor) {
	for _, name := range h.names {
		list = append(list, format.Tensor{Name: name, DType: format.U8, Shape: []int64{1}})
	}
	return list
}
func (h held) Find(name string) (int, bool) {
	i := slices.Index(h.names, name)
	return i, i >= 0
}
func (h held) View(i int, off, n int64) (mmapio.View, error) {
	return mmapio.View{Data: []byte(h.names[i])[off:][:n]}, nil
}
func (h held) Files() []format.InputFile { return make([]format.InputFile, len(h.names)) }
func (h held) FileOf(i int) int          { return i }
func (h held) Close() error              { *h.closed++; return nil }

func child(folder string, h held) Child {
	return Child{format.Part{Component: format.Component{Folder: folder}, Stem: "model"}, h}
}

// TestParts finds every tensor in the component that has it, beside components without tensors.
func TestParts(t *testing.T) {
	closed := 0
	c, err := New(format.Directory("p"), []Child{
		child("", held{nil, &closed}), child("a", held{[]string{"x", "y"}, &closed}), child("b", held{nil, &closed}), child("c", held{nil, &closed}), child("d", held{[]string{"z"}, &closed}), child("e", held{nil, &closed}),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a/x", "a/y", "d/z"} {
		view, err := c.View(i, 0, 1)
		if j, ok := c.Find(want); err != nil || !ok || j != i || c.Tensors()[i].Name != want || string(view.Data) != want[2:] || c.FileOf(i) != i {
			t.Errorf("%d: %v, %s, %q in file %d", i, err, c.Tensors()[i].Name, view.Data, c.FileOf(i))
		}
	}
	if c.Close(); closed != 6 {
		t.Errorf("%d are closed", closed)
	}
}

// TestNamesOfOthers refuses a tensor that would become another component's, and closes all.
func TestNamesOfOthers(t *testing.T) {
	closed := 0
	for name, says := range map[string]string{"a/y": `tensor "a/y": its name begins with the directory of another component, "a"`, "a/x": "its name begins", "ab": ""} {
		c, err := New(format.Directory("p"), []Child{child("", held{[]string{name}, &closed}), child("a", held{[]string{"x"}, &closed})}, nil)
		if (err == nil) != (says == "") || err != nil && (c != nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if closed != 4 {
		t.Errorf("%d are closed", closed)
	}
	if c, err := New(format.Directory("p"), []Child{child("a", held{[]string{"x", "x"}, &closed})}, nil); c != nil || format.KindOf(err) != format.KindDuplicate {
		t.Errorf("%v", err)
	}
}

// told is a checkpoint that says what it costs, and of what it is.
type told struct {
	held
	cost int64
	said map[string]string
	as   format.DType
}

func (x told) ViewCost(n int64) int64      { return n + x.cost }
func (x told) Metadata() map[string]string { return x.said }
func (x told) Tensors() (list []format.Tensor) {
	for _, t := range x.held.Tensors() {
		t.Stored = x.as
		list = append(list, t)
	}
	return list
}

// TestSaid asks all components: views cost what those of the costliest do, the first says what several say, and tensors that are stored in other types are others.
func TestSaid(t *testing.T) {
	closed := 0
	of := func(second format.DType) *Checkpoint {
		children := []Child{
			child("a", held{[]string{"x"}, &closed}), child("b", held{[]string{"x"}, &closed}), child("c", held{[]string{"x"}, &closed}),
		}
		children[0].Checkpoint = told{children[0].Checkpoint.(held), 50, map[string]string{"k": "first"}, format.Invalid}
		children[1].Checkpoint = told{children[1].Checkpoint.(held), 20, map[string]string{"k": "second", "l": "too"}, second}
		c, err := New(format.Directory("p"), children, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := of(format.F16)
	if got := c.ViewCost(100); got != 150 {
		t.Errorf("a view of 100 bytes costs %d", got)
	}
	if got := c.Metadata(); len(got) != 2 || got["k"] != "first" || got["l"] != "too" {
		t.Errorf("%v", got)
	}
	if !c.Share(of(format.F16)) || c.Share(of(format.BF16)) {
		t.Error("lists of tensors that are stored otherwise are shared, or those of the same are not")
	}
}

// TestEach shows the components again if any of them is shown otherwise.
func TestEach(t *testing.T) {
	closed := 0
	c, err := New(format.Directory("p"), []Child{child("a", held{[]string{"x"}, &closed}), child("b", held{[]string{"y"}, &closed})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k := range c.children { // which can be compared
		h := c.children[k].Checkpoint.(held)
		c.children[k].Checkpoint = &h
	}
	first := c.children[0].Checkpoint
	as := func(instead format.Checkpoint) *Checkpoint {
		k := 0
		shown, err := c.Each(func(child format.Checkpoint) (format.Checkpoint, error) {
			if k++; k == 1 {
				return instead, nil
			}
			return child, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return shown
	}
	if as(first) != c {
		t.Error("nothing is shown otherwise, and another checkpoint came back")
	}
	if shown := as(&told{held: held{[]string{"z"}, &closed}}); shown == c || shown.Tensors()[0].Name != "a/z" {
		t.Error("the first is not shown as it should be")
	}
}
