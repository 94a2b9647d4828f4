package llamacpp

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// A tokenizer.model is a message of protocol buffers (sentencepiece_model.proto): field 1, many times, is a piece with its text (1), score
// (2) and type (3); field 2 has the algorithm (3) among what it was trained with.

// bytePairs is the algorithm of merges, by its number there.
const bytePairs = 2

// The types of pieces, which are those of tokens but for one that the user defined, which llama.cpp takes for text.
var pieceTypes = map[uint64]int32{1: normalToken, 2: unknownToken, 3: controlToken, 4: normalToken, 5: unusedToken, 6: byteToken}

// takePieces takes a vocabulary of SentencePiece.
func (v *spoken) takePieces(raw []byte) error {
	v.reserve()
	v.model, v.pre, v.pieces = "llama", "default", true
	v.scores = make([]float32, v.rows)
	for i := range v.scores {
		v.scores[i] = unusedScore
	}
	id, algorithm := int64(0), uint64(1) // unigrams, where nothing is said
	err := fields(raw, func(number int, n uint64, data []byte) error {
		switch number {
		case 1:
			text, score, kind := "", float32(0), uint64(1)
			if err := fields(data, func(number int, n uint64, data []byte) error {
				switch number {
				case 1:
					text = string(data)
				case 2:
					score = math.Float32frombits(uint32(n))
				case 3:
					kind = n
				}
				return nil
			}); err != nil {
				return err
			}
			t, known := pieceTypes[kind]
			if !known || text == "" || !utf8.ValidString(text) {
				return unfit(fmt.Sprintf("piece %d of %s is %q of type %d", id, sentencePieceName, text[:min(len(text), 80)], kind))
			}
			if err := v.put(id, text, t); err != nil {
				return err
			}
			v.scores[id] = score
			id++
		case 2:
			return fields(data, func(number int, n uint64, _ []byte) error {
				if number == 3 {
					algorithm = n
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && (id == 0 || algorithm != bytePairs) {
		err = unfit(sentencePieceName + " is none of byte pairs, which llama.cpp takes it for")
	}
	return err
}

// fields goes through a message of protocol buffers: numbers have n, all else data.
func fields(raw []byte, use func(number int, n uint64, data []byte) error) error {
	damaged := unfit(sentencePieceName + " is damaged")
	for len(raw) > 0 {
		key, size := binary.Uvarint(raw)
		if size <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return damaged
		}
		raw = raw[size:]
		var n uint64
		var data []byte
		switch key & 7 {
		case 0:
			if n, size = binary.Uvarint(raw); size <= 0 {
				return damaged
			}
		case 1:
			if size = 8; len(raw) >= size {
				n = binary.LittleEndian.Uint64(raw)
			}
		case 2:
			length, prefix := binary.Uvarint(raw)
			if prefix <= 0 || length > uint64(len(raw)-prefix) {
				return damaged
			}
			size = prefix + int(length)
			data = raw[prefix:size]
		case 5:
			if size = 4; len(raw) >= size {
				n = uint64(binary.LittleEndian.Uint32(raw))
			}
		default:
			return damaged
		}
		if size > len(raw) {
			return damaged
		}
		if err := use(int(key>>3), n, data); err != nil {
			return err
		}
		raw = raw[size:]
	}
	return nil
}
