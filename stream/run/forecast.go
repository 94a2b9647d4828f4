package run

import (
	"slices"

	"weld/format"
	"weld/stream/fuse"
)

// Forecast is what disks read for a run if nothing of its inputs is cached.
type Forecast struct {
	Once  int64 // every byte that is looked at
	Again int64 // what will have left the page cache when it is looked at once more
}

// Foresee tells what a run will read. The method is one that nobody has begun with; it is of no use afterwards. What depends on the numbers is
// taken to be as it nearly always is: samples do not mislead.
func Foresee(c Config) Forecast {
	f := foresight{Config: c, from: make(map[format.Checkpoint]*foreseen)}
	passes := f.passes()
	var all fuse.Reads
	for _, p := range passes {
		all = all.Or(p.reads)
	}
	f.once(all)
	if c.Budget.Drop {
		f.again(passes)
	}
	return Forecast{f.onceBytes(), f.repeated}
}

// foresight is a run as it is foreseen.
type foresight struct {
	Config
	from     map[format.Checkpoint]*foreseen
	order    []*foreseen
	repeated int64
}

// foreseen is one checkpoint.
type foreseen struct {
	files []format.InputFile
	share float64  // bytes of files for each that is shown
	seen  []uint64 // a bit for each tensor
	once  int64    // bytes that are shown
}

// pass is a walk over the inputs.
type pass struct {
	reads fuse.Reads
	chain func(job int) []fuse.Stage
	final bool
}

// mostPasses is more than any method has.
const mostPasses = 16

// passes are those that the method will walk.
func (f *foresight) passes() (list []pass) {
	for p := f.Method.Next(); p != nil && len(list) < mostPasses; p = f.Method.Next() {
		list = append(list, pass{reads: p.Reads, chain: p.Chain})
	}
	if m, ok := f.Method.(fuse.Early); ok {
		if p := m.Early(); p != nil { // it will not be in vain
			return append(list, pass{p.Reads, p.Chain, true})
		}
	}
	return append(list, pass{f.Method.Reads(), f.Method.Fuse, true})
}

// input is what is known of a checkpoint.
func (f *foresight) input(c format.Checkpoint) *foreseen {
	if in := f.from[c]; in != nil {
		return in
	}
	in := &foreseen{files: c.Files(), share: 1, seen: make([]uint64, (len(c.Tensors())+63)/64)}
	var stored, shown int64
	for _, file := range in.files {
		stored += file.Info.Size()
	}
	for _, t := range c.Tensors() {
		shown += t.Bytes()
	}
	if stored > 0 && shown > 0 {
		in.share = float64(stored) / float64(shown)
	}
	f.from[c] = in
	f.order = append(f.order, in)
	return in
}

// stored is how many bytes of files n bytes are that are shown.
func (in *foreseen) stored(n int64) int64 { return int64(in.share * float64(n)) }

// eachRead visits what is read for a tensor.
func (t *Tensor) eachRead(reads fuse.Reads, visit func(Stored)) {
	if t.copied() {
		visit(t.Copied)
		return
	}
	t.eachOperand(reads, visit)
}

// once marks all tensors that are read. One that was read for an earlier tensor of the output has left the page cache.
func (f *foresight) once(reads fuse.Reads) {
	var t Tensor
	for i := range f.Tensors.Len() {
		f.Tensors.Describe(i, &t)
		t.eachRead(reads, func(o Stored) {
			in := f.input(o.From)
			if bit := uint64(1) << (o.Index % 64); in.seen[o.Index/64]&bit == 0 {
				in.seen[o.Index/64] |= bit
				in.once += o.bytes()
			} else if f.Budget.Drop {
				f.repeated += in.stored(o.bytes())
			}
		})
	}
}

// onceBytes are those of all files. A base may be one of the models.
func (f *foresight) onceBytes() (n int64) {
	for i, in := range f.order {
		same := func(o *foreseen) bool {
			return slices.EqualFunc(o.files, in.files, func(a, b format.InputFile) bool { return a.Path == b.Path }) && len(in.files) > 0
		}
		if slices.ContainsFunc(f.order[:i], same) {
			continue
		}
		most := in.stored(in.once)
		for _, o := range f.order[i+1:] {
			if same(o) {
				most = max(most, o.stored(o.once))
			}
		}
		n += most
	}
	return n
}

// again counts what walks and stages behind the first read once more.
func (f *foresight) again(passes []pass) {
	w := walk{Runner: &Runner{config: f.Config}}
	cut := w.firstBytes(f.Budget.Pages)
	var t Tensor
	for i := range f.Tensors.Len() {
		job, fused := f.Tensors.Job(i)
		if !fused {
			continue
		}
		f.Tensors.Describe(i, &t)
		behind := 1.0 // the part of the tensor that does not stay for the next walk
		switch {
		case i < cut.tensor:
			behind = 0
		case i == cut.tensor:
			behind = 1 - float64(cut.element)/float64(max(1, t.tiling().Elements()))
		}
		var had fuse.Reads
		for _, p := range passes {
			stages := looks(p.chain(job))
			room, part := f.Budget.Views, behind
			if p.final {
				room, part = room+f.Budget.Pages, 1
			}
			for k, reads := range stages {
				n := f.bytes(&t, had.And(reads))
				switch {
				case k == 0:
					f.repeated += int64(behind * float64(n))
				default:
					f.repeated += max(0, int64(part*float64(n))-room)
				}
				had = had.Or(reads)
			}
		}
	}
}

// bytes are those of a tensor's operands, as they are stored.
func (f *foresight) bytes(t *Tensor, reads fuse.Reads) (n int64) {
	t.eachOperand(reads, func(o Stored) { n += f.input(o.From).stored(o.bytes()) })
	return n
}

// looks are the stages of a chain that will look at a whole tensor.
func looks(chain []fuse.Stage) (reads []fuse.Reads) {
	sampled, spared := false, false
	for _, stage := range chain {
		if s, ok := stage.(fuse.Sampling); ok && s.Tiling().IsSparse() {
			sampled = true
			continue
		}
		if o, ok := stage.(fuse.Optional); ok {
			likely := !spared
			if l, ok := o.(fuse.Likely); ok {
				likely = l.Likely()
			}
			spared = sampled // those behind it are for samples that mislead
			if !likely {
				continue
			}
		}
		reads = append(reads, stage.Reads())
	}
	return reads
}
