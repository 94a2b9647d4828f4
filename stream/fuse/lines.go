package fuse

import "slices"

// Lines are a tensor's runs of elements along its last dimension. They are not its rows: a tensor of
// one dimension is one line, and where there are more than two a row has several.
type Lines struct {
	Length int64 // elements of a line
	tiling Tiling
}

// LinesOf are a tensor's lines.
func LinesOf(j *Job) Lines {
	l := Lines{Length: 1, tiling: j.Tiling}
	if n := len(j.Shape); n > 0 {
		l.Length = max(1, j.Shape[n-1])
	}
	return l
}

// WholeLine is the tensor as one line.
func WholeLine(j *Job) Lines { return Lines{max(j.Tiling.Elements(), 1), j.Tiling} }

// Cut reports whether some line is spread over several tiles.
func (l Lines) Cut() bool {
	if l.tiling.Count() < 2 {
		return false
	}
	_, end := l.tiling.Range(0)
	return end%l.Length != 0
}

// MostCut bounds the number of lines that are spread over several tiles.
func (l Lines) MostCut() int64 { return min(l.tiling.Elements()/l.Length, l.tiling.Count()) }

// LineSegment is what a tile has of a line.
type LineSegment struct {
	Line   int64
	Lo, Hi int // elements of the tile
	Whole  bool
}

// Of yields the segments of a tile. Only its first and its last may be less than a line.
func (l Lines) Of(t Tile) func(yield func(LineSegment) bool) {
	return func(yield func(LineSegment) bool) {
		line := t.Lo / l.Length
		for at := t.Lo; at < t.Hi; line++ {
			begin, end := line*l.Length, (line+1)*l.Length
			stop := min(end, t.Hi)
			if !yield(LineSegment{line, int(at - t.Lo), int(stop - t.Lo), at == begin && stop == end}) {
				return
			}
			at = stop
		}
	}
}

// LongLine is the length from which on lines are remembered, beside those that are spread over several tiles: long
// enough that it pays, and that they are few enough to be held.
const LongLine = 1 << 10

// MostRemembered is how many such lines a tile has something of, at most.
const MostRemembered = TileElements/LongLine + 1

// Remembers reports whether figures of a segment's line are remembered.
func (l Lines) Remembers(g LineSegment) bool { return !g.Whole || l.Length >= LongLine }

// Remembered bounds their number.
func (l Lines) Remembered() int64 {
	switch {
	case l.Length >= LongLine:
		return l.tiling.Elements() / l.Length
	case l.Cut():
		return l.tiling.Count()
	}
	return 0
}

// PerLine holds figures F of some lines, in their order.
type PerLine[F any] struct {
	lines []int64
	all   []F
}

// Of is the figures of a line, made when it is new. Lines must be new in order.
func (c *PerLine[F]) Of(line int64) *F {
	i, known := slices.BinarySearch(c.lines, line)
	if !known {
		c.lines, c.all = append(c.lines, line), append(c.all, *new(F))
	}
	return &c.all[i]
}
