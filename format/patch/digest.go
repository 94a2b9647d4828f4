package patch

import (
	"context"
	"crypto/sha256"
	"hash"
	"sync"

	"weld/format/packed"
	"weld/mmapio"
)

// Digest identifies the bytes of a tensor or a file: the SHA-256 of the SHA-256 of each chunk of
// [ChunkSize] bytes, the last of which may be shorter.
type Digest [sha256.Size]byte

// ChunkSize is how many bytes are digested together: those of a block.
const ChunkSize = packed.BlockSize

// Tree digests chunks that come in any order, from several goroutines.
type Tree struct {
	mu   sync.Mutex
	next int64
	held map[int64]Digest // chunks that came before their turn
	sum  hash.Hash
}

// Add digests the i-th chunk.
func (t *Tree) Add(i int64, chunk []byte) {
	d := Digest(sha256.Sum256(chunk))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sum == nil {
		t.sum, t.held = sha256.New(), make(map[int64]Digest)
	}
	t.held[i] = d
	for {
		d, ok := t.held[t.next]
		if !ok {
			return
		}
		t.sum.Write(d[:])
		delete(t.held, t.next)
		t.next++
	}
}

// Sum is the digest of the chunks so far.
func (t *Tree) Sum() Digest {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sum == nil {
		return Digest(sha256.Sum256(nil))
	}
	return Digest(t.sum.Sum(nil))
}

// DigestOf digests bytes that view lends.
func DigestOf(ctx context.Context, bytes int64, view func(off, n int64) (mmapio.View, error)) (Digest, error) {
	var t Tree
	for off := int64(0); off < bytes; off += ChunkSize {
		if err := ctx.Err(); err != nil {
			return Digest{}, context.Cause(ctx)
		}
		v, err := view(off, min(ChunkSize, bytes-off))
		if err != nil {
			return Digest{}, err
		}
		err = mmapio.Guard([]mmapio.View{v}, func() error { t.Add(off/ChunkSize, v.Data); return nil })
		v.Release()
		if err != nil {
			return Digest{}, err
		}
	}
	return t.Sum(), nil
}
