package fuse

import "sync"

// Joint runs several methods over the same inputs in one walk for each pass: variants of
// one merge that differ in numbers. Their jobs are the same tensors, in the same order.
func Joint(methods []Method) Method { return &joint{methods} }

type joint struct{ methods []Method }

func (g *joint) Next() *Pass {
	var passes []*Pass
	all := &Pass{}
	for _, m := range g.methods {
		p := m.Next()
		passes = append(passes, p)
		if p == nil {
			continue
		}
		all.Name = p.Name
		all.Reads = all.Reads.Or(p.Reads)
	}
	if all.Name == "" {
		return nil
	}
	all.Chain = func(job int) []Stage {
		var chains [][]Stage
		for _, p := range passes {
			var chain []Stage
			if p != nil {
				chain = p.Chain(job)
			}
			chains = append(chains, chain)
		}
		return zip(chains)
	}
	all.End = func() error {
		for _, p := range passes {
			if p != nil && p.End != nil {
				if err := p.End(); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return all
}

func (g *joint) Fuse(job int) []Stage {
	var chains [][]Stage
	for _, m := range g.methods {
		chains = append(chains, m.Fuse(job))
	}
	return zip(chains)
}

func (g *joint) Reads() (r Reads) {
	for _, m := range g.methods {
		r = r.Or(m.Reads())
	}
	return r
}

// Results are each method's own; see there.
func (g *joint) Results() []Result { return nil }

func (g *joint) Expected() (n int) {
	for _, m := range g.methods {
		n = max(n, m.Expected())
	}
	return n
}

// Cost adds up what methods keep; scratch they take one after the other.
func (g *joint) Cost() Cost {
	var all Cost
	var jobs []func(int) int64
	for _, m := range g.methods {
		c := m.Cost()
		all.Shared += c.Shared
		all.Scratch = max(all.Scratch, c.Scratch)
		jobs = append(jobs, c.Job)
	}
	all.Job = func(job int) (n int64) {
		for _, j := range jobs {
			n += j(job)
		}
		return n
	}
	return all
}

// zip makes one chain of several, which end together: the last stages fill the outputs. Samples, which
// see other tiles, come before all others.
func zip(chains [][]Stage) []Stage {
	length := 0
	sample := &jointStage{stages: make([]Stage, len(chains))}
	rest := make([][]Stage, len(chains))
	for v, c := range chains {
		if len(c) > 0 && samples(c[0]) {
			sample.stages[v], c = c[0], c[1:]
		}
		rest[v] = c
		length = max(length, len(c))
	}
	chains = rest
	zipped := make([]Stage, length)
	for i := range zipped {
		st := &jointStage{stages: make([]Stage, len(chains))}
		for v, c := range chains {
			if at := i - (length - len(c)); at >= 0 {
				st.stages[v] = c[at]
			}
		}
		zipped[i] = st.narrow()
	}
	if st := sample.narrow(); samples(st) {
		return append([]Stage{st}, zipped...)
	}
	return zipped
}

// samples reports whether a stage sees but some of the tensor.
func samples(st Stage) bool {
	s, ok := st.(Sampling)
	return ok && s.Tiling().IsSparse()
}

// jointStage is a stage of each of several chains; nil where a chain has none.
type jointStage struct {
	stages []Stage
	look   sync.Once
	idle   []bool
}

// narrow returns the stage as a [Sampling] one, if its stages are.
func (st *jointStage) narrow() Stage {
	for _, s := range st.stages {
		if sampling, ok := s.(Sampling); ok {
			return jointSample{st, sampling}
		}
	}
	return st
}

type jointSample struct {
	*jointStage
	first Sampling
}

// Tiling implements [Sampling]: variants sample alike.
func (st jointSample) Tiling() Tiling { return st.first.Tiling() }

func (st *jointStage) Reads() (r Reads) {
	for _, s := range st.stages {
		if s != nil {
			r = r.Or(s.Reads())
		}
	}
	return r
}

// resting finds out, once the stage begins, which of its stages have nothing to do.
func (st *jointStage) resting() []bool {
	st.look.Do(func() {
		st.idle = make([]bool, len(st.stages))
		for v, s := range st.stages {
			o, optional := s.(Optional)
			st.idle[v] = s == nil || optional && o.Skip()
		}
	})
	return st.idle
}

// Skip implements [Optional].
func (st *jointStage) Skip() bool {
	for _, idle := range st.resting() {
		if !idle {
			return false
		}
	}
	return true
}

func (st *jointStage) Span(s *Scratch, sp *Span) error {
	own := *sp
	for v, stage := range st.stages {
		if st.resting()[v] {
			continue
		}
		if sp.Outs != nil {
			own.Out = sp.Outs[v]
		}
		if err := stage.Span(s, &own); err != nil {
			return err
		}
	}
	return nil
}

func (st *jointStage) End() error {
	for v, stage := range st.stages {
		if !st.resting()[v] {
			if err := stage.End(); err != nil {
				return err
			}
		}
	}
	return nil
}
