package lora

import "weld/internal/vec"

// core is the kernel of a convolution's product in Tucker form, which LyCORIS and PEFT call effective:
// T [rank, rank, kernel], with which the right factor B [rank, in] becomes R[i, j·kernel + k] = Σₘ T[i, m, k]·B[m, j].
type core struct {
	tensor vector
	kernel int64
}

// elements is what multiplying out cols columns takes.
func (c *core) elements(rank, cols int64) int64 { return rank*(cols/c.kernel+2) + rank*c.kernel }

// multiplyOut computes columns [lo, hi) of R, a row for each index of the rank.
func multiplyOut[T vec.Float](in *scratch[T], c *core, b factor, rank int64, dst []T, lo, hi int64) error {
	defer in.giveBack(in.used)
	first, last := lo/c.kernel, (hi+c.kernel-1)/c.kernel
	width := last - first
	inputs, kernel := in.take(rank*width), in.take(rank*c.kernel)
	if err := load(in, b, rank, 0, inputs, first, last, true); err != nil {
		return err
	}
	for i := range rank {
		if err := read(in.adapter, c.tensor.tensor, c.tensor.dtype, kernel, i*rank*c.kernel); err != nil {
			return err
		}
		row := dst[i*(hi-lo):][:hi-lo]
		for at := range row {
			j, k := (lo+int64(at))/c.kernel-first, (lo+int64(at))%c.kernel
			var sum T
			for m := range rank {
				sum += T(kernel[m*c.kernel+k] * inputs[m*width+j])
			}
			row[at] = sum
		}
	}
	return nil
}
