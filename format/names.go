package format

import (
	"hash/maphash"
	"strings"
)

// Names keeps the names of many tensors: in a few large pieces of memory, not in one for each. The zero value is
// ready.
type Names struct{ piece strings.Builder }

// namesPiece is the size of a piece.
const namesPiece = 64 << 10

// Keep copies a name; left is how many bytes of names may follow at most, this one among them.
func (n *Names) Keep(name []byte, left int) string {
	if n.piece.Cap()-n.piece.Len() < len(name) {
		n.piece.Reset()
		n.piece.Grow(max(len(name), min(left, namesPiece)))
	}
	begin := n.piece.Len()
	n.piece.Write(name)
	return n.piece.String()[begin:]
}

// NameTable finds the entries of a list by name: a hash table of their places, 4 bytes a slot, that holds no
// names. Whoever asks gives the name at a place. The zero value is empty.
type NameTable struct {
	seed  maphash.Seed
	slots []uint32 // a power of two of them, less than 4/5 full
	count int      // of places, those that were passed over too
}

// A slot holds 1 + place, 0 for none, in as many bits as the number of slots has, and above them what fits of the
// hash: names are compared where that is equal.

// Add enters the next place of the list. If its name is there already, it is passed over, and
// first is the place that has the name.
func (t *NameTable) Add(at func(place int) string) (first int, again bool) {
	if 5*(t.count+1) > 4*len(t.slots) {
		t.grow(2*len(t.slots), at)
	}
	t.count++
	return t.enter(t.count-1, at)
}

// enter enters a place, unless its name is there.
func (t *NameTable) enter(place int, at func(place int) string) (first int, again bool) {
	i, tag := t.slotOf(at(place), at)
	if again = t.slots[i] != 0; !again {
		t.slots[i] = tag | uint32(place+1)
	}
	return t.place(i), again
}

// Reserve makes room for n places in all.
func (t *NameTable) Reserve(n int, at func(place int) string) {
	size := len(t.slots)
	for 4*size < 5*n {
		size = max(8, 2*size)
	}
	if size > len(t.slots) {
		t.grow(size, at)
	}
}

// Clear empties the table, and keeps its room.
func (t *NameTable) Clear() {
	clear(t.slots)
	t.count = 0
}

// grow enters all places anew.
func (t *NameTable) grow(size int, at func(place int) string) {
	if t.slots == nil {
		t.seed = maphash.MakeSeed()
	}
	t.slots = make([]uint32, max(8, size))
	for place := range t.count {
		t.enter(place, at)
	}
}

// place is what a slot holds.
func (t *NameTable) place(slot int) int { return int(t.slots[slot]&uint32(len(t.slots)-1)) - 1 }

// slot is where a name of a hash is, or would be, with a tag; same reports whether it is the name at a place.
func (t *NameTable) slot(hash uint64, same func(place int) bool) (i int, tag uint32) {
	mask := uint32(len(t.slots) - 1)
	tag = uint32(hash>>32) &^ mask
	for i = int(uint32(hash) & mask); t.slots[i] != 0; i = (i + 1) & int(mask) {
		if t.slots[i]&^mask == tag && same(t.place(i)) {
			break
		}
	}
	return i, tag
}

func (t *NameTable) slotOf(name string, at func(place int) string) (i int, tag uint32) {
	return t.slot(maphash.String(t.seed, name), func(place int) bool { return at(place) == name })
}

// Find returns the place of a name.
func (t *NameTable) Find(name string, at func(place int) string) (place int, ok bool) {
	if t.count == 0 {
		return 0, false
	}
	i, _ := t.slotOf(name, at)
	return max(t.place(i), 0), t.slots[i] != 0
}

// FindBytes is Find for a name that is no string yet.
func (t *NameTable) FindBytes(name []byte, at func(place int) string) (place int, ok bool) {
	if t.count == 0 {
		return 0, false
	}
	i, _ := t.slot(maphash.Bytes(t.seed, name), func(place int) bool { return at(place) == string(name) })
	return max(t.place(i), 0), t.slots[i] != 0
}
