package seekzstd

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"weld/format/frames"
	"weld/mmapio"
)

// Writer compresses content that arrives in pieces, from several goroutines, into
// frames that are appended in order.
type Writer struct {
	*frames.Writer
	out     io.Writer
	encoder *zstd.Encoder
	plain   mmapio.Spare[plainFrame]
	table   []byte // entries of the seek table
}

// NewWriter makes a writer of content that ends at the last of cuts. Frames end
// exactly at the cuts; each holds at most MaxFrame bytes and at least one. workers
// is the number of goroutines that call WriteAt.
func NewWriter(out io.Writer, cuts []int64, workers int) (*Writer, error) {
	if len(cuts) > MaxFrames {
		return nil, fmt.Errorf("zstd: %d frames are more than a file can have", len(cuts))
	}
	last := int64(0)
	for _, cut := range cuts {
		if cut <= last || cut-last > MaxFrame {
			return nil, fmt.Errorf("zstd: no frame can hold the bytes [%d, %d)", last, cut)
		}
		last = cut
	}
	// Of the frames that are left to it, most are small or full of zeros: the fastest search loses little.
	// Without AllLitEntropyCompression blocks without matches are stored.
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithAllLitEntropyCompression(true),
		zstd.WithEncoderCRC(true),
		zstd.WithEncoderConcurrency(workers),
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	w := &Writer{out: out, encoder: encoder}
	w.Writer = frames.NewWriter(workers, w.encode, w.put)
	return w, w.Extend(cuts...)
}

func (w *Writer) encode(_ int, _ int64, content, buffer []byte) ([]byte, error) {
	plain := w.plain.Get()
	if plain == nil {
		plain = new(plainFrame)
	}
	defer w.plain.Put(plain, plainBytes)
	frame, ok := plain.append(buffer, content)
	if !ok {
		frame = w.encoder.EncodeAll(content, frame)
	}
	return frame, nil
}

// plainBytes is about what a plainFrame takes.
const plainBytes = 512 << 10

// put appends a frame.
func (w *Writer) put(_ int, content int64, compressed []byte) error {
	w.table = binary.LittleEndian.AppendUint32(w.table, uint32(len(compressed)))
	w.table = binary.LittleEndian.AppendUint32(w.table, uint32(content))
	_, err := w.out.Write(compressed)
	return err
}

// Complete appends the seek table. All content must have been written.
func (w *Writer) Complete() error {
	defer w.encoder.Close()
	if err := w.Writer.Complete(); err != nil {
		return err
	}
	le := binary.LittleEndian
	t := le.AppendUint32(nil, skippableMagic)
	t = le.AppendUint32(t, uint32(len(w.table)+footerSize))
	t = append(t, w.table...)
	t = le.AppendUint32(t, uint32(len(w.table)/8))
	t = append(t, 0) // descriptor: no checksums here, the frames carry their own
	t = le.AppendUint32(t, seekableMagic)
	_, err := w.out.Write(t)
	return err
}

// MaxFrames is the most frames that a file may have: the table of so many takes 256 MiB in memory.
const MaxFrames = 1 << 23
