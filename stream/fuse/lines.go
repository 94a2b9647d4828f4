package fuse

import "slices"

// lines are a tensor's runs of elements along its last dimension. They are not its rows: a tensor of
// one dimension is one line, and where there are more than two a row has several.
type lines struct {
	length int64
	tiling Tiling
}

func linesOf(j *Job) lines {
	l := lines{length: 1, tiling: j.Tiling}
	if n := len(j.Shape); n > 0 {
		l.length = max(1, j.Shape[n-1])
	}
	return l
}

// wholeLine is the tensor as one line.
func wholeLine(j *Job) lines { return lines{max(j.Tiling.Elements(), 1), j.Tiling} }

// cut reports whether some line is spread over several tiles.
func (l lines) cut() bool {
	if l.tiling.Count() < 2 {
		return false
	}
	_, end := l.tiling.Range(0)
	return end%l.length != 0
}

// mostCut bounds the number of lines that are spread over several tiles.
func (l lines) mostCut() int64 { return min(l.tiling.Elements()/l.length, l.tiling.Count()) }

// segment is what a tile has of a line.
type segment struct {
	line   int64
	lo, hi int // elements of the tile
	whole  bool
}

// of yields the segments of a tile. Only its first and its last may be less than a line.
func (l lines) of(t Tile) func(yield func(segment) bool) {
	return func(yield func(segment) bool) {
		line := t.Lo / l.length
		for at := t.Lo; at < t.Hi; line++ {
			begin, end := line*l.length, (line+1)*l.length
			stop := min(end, t.Hi)
			if !yield(segment{line, int(at - t.Lo), int(stop - t.Lo), at == begin && stop == end}) {
				return
			}
			at = stop
		}
	}
}

// Lines of this length and those that are spread over several tiles are remembered: enough that it pays,
// and few enough to be held.
const longLine = 1 << 10

// mostRemembered is how many such lines a tile has something of, at most.
const mostRemembered = TileElements/longLine + 1

func (l lines) remembers(g segment) bool { return !g.whole || l.length >= longLine }

// remembered bounds their number.
func (l lines) remembered() int64 {
	switch {
	case l.length >= longLine:
		return l.tiling.Elements() / l.length
	case l.cut():
		return l.tiling.Count()
	}
	return 0
}

// perLine holds figures F of some lines, in their order.
type perLine[F any] struct {
	lines []int64
	all   []F
}

// of is the figures of a line, made when it is new. Lines must be new in order.
func (c *perLine[F]) of(line int64) *F {
	i, known := slices.BinarySearch(c.lines, line)
	if !known {
		c.lines, c.all = append(c.lines, line), append(c.all, *new(F))
	}
	return &c.all[i]
}
