package patch

import (
	"context"
	"crypto/sha256"
	"hash"
	"sync"

	"weld/format/packed"
	"weld/mmapio"
)

// TreeDigest identifies the bytes of a tensor or a file: the SHA-256 of the SHA-256 of each chunk of
// [ChunkSize] bytes, the last of which may be shorter.
type TreeDigest [sha256.Size]byte

// ChunkSize is how many bytes are digested together: those of a block.
const ChunkSize = packed.BlockSize

// Tree digests chunks that come in any order, from several goroutines. Most items are one chunk, for which it
// allocates nothing.
type Tree struct {
	mu    sync.Mutex
	next  int64
	first TreeDigest           // chunk 0
	held  map[int64]TreeDigest // chunks that came before their turn
	sum   hash.Hash            // from the second chunk on
}

// Add digests the i-th chunk.
func (t *Tree) Add(i int64, chunk []byte) { t.add(i, sha256.Sum256(chunk)) }

// add takes the digest of the i-th chunk.
func (t *Tree) add(i int64, d TreeDigest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i != t.next {
		if t.held == nil {
			t.held = make(map[int64]TreeDigest)
		}
		t.held[i] = d
		return
	}
	for ok := true; ok; {
		t.append(d)
		d, ok = t.held[t.next]
		delete(t.held, t.next)
	}
}

func (t *Tree) append(d TreeDigest) {
	switch t.next {
	case 0:
		t.first = d
	case 1:
		t.sum = sha256.New()
		t.sum.Write(t.first[:])
		fallthrough
	default:
		t.sum.Write(d[:])
	}
	t.next++
}

// Sum is the digest of the chunks so far.
func (t *Tree) Sum() TreeDigest {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.next {
	case 0:
		return ofNothing
	case 1:
		return sha256.Sum256(t.first[:])
	}
	return TreeDigest(t.sum.Sum(nil))
}

// ofNothing is the digest of no bytes.
var ofNothing = TreeDigest(sha256.Sum256(nil))

// digesting is the digest of so many bytes, of which chunks come in any order. A tree grows while there are several.
type digesting struct {
	Digest TreeDigest // once all have come
	tree   *Tree
}

// add takes the digest of the chunk that begins at an offset.
func (g *digesting) add(off, bytes int64, d TreeDigest) {
	if bytes <= ChunkSize {
		g.Digest = sha256.Sum256(d[:])
		return
	}
	if g.tree == nil {
		g.tree = new(Tree)
	}
	g.tree.add(off/ChunkSize, d)
	if g.tree.next == (bytes+ChunkSize-1)/ChunkSize {
		g.Digest, g.tree = g.tree.Sum(), nil
	}
}

// DigestOf digests bytes that view lends.
func DigestOf(ctx context.Context, bytes int64, view func(off, n int64) (mmapio.View, error)) (TreeDigest, error) {
	var t Tree
	for off := int64(0); off < bytes; off += ChunkSize {
		if err := ctx.Err(); err != nil {
			return TreeDigest{}, context.Cause(ctx)
		}
		v, err := view(off, min(ChunkSize, bytes-off))
		if err != nil {
			return TreeDigest{}, err
		}
		err = mmapio.Guard([]mmapio.View{v}, func() error { t.Add(off/ChunkSize, v.Data); return nil })
		v.Release()
		if err != nil {
			return TreeDigest{}, err
		}
	}
	return t.Sum(), nil
}
