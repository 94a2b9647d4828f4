package tokens

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Digest identifies where the rows of the embeddings come from: vocabularies of one digest put the same rows together of the
// same models.
func (v *Vocabulary) Digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	put := func(list any) { binary.Write(h, binary.LittleEndian, list) } // a hash takes everything
	fmt.Fprintln(h, v.Size, v.base, v.used)
	put(v.token)
	for _, own := range v.own {
		put(own)
	}
	for _, name := range v.groupNames() {
		g := v.groups[name]
		fmt.Fprintf(h, "%q %v %d\n", name, g.tensor, len(g.rows))
		put(g.rows)
		put(g.force)
		for _, from := range g.from {
			put([2]int32{from.model, from.row})
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}
