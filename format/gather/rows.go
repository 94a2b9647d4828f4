package gather

import "sort"

// Stretch is elements of a tensor that lie in a row in a file.
type Stretch struct {
	Source int
	Begin  int64 // byte of the first
	Count  int64
}

// Stretches calls f with the stretches of elements [first, first+count), one behind the other, of a tensor of one dimension whose pieces stand in
// order, as those are that partitions hold. It ends where elements do not lie in a row; of other tensors it finds none.
func (l *Layout) Stretches(first, count int64, f func(s Stretch)) {
	if len(l.Shape) != 1 {
		return
	}
	i := max(0, sort.Search(len(l.Pieces), func(i int) bool { return l.Pieces[i].Offset[0] > first })-1)
	for ; count > 0 && i < len(l.Pieces); i++ {
		p := &l.Pieces[i]
		from := first - p.Offset[0]
		n := min(count, p.Shape[0]-from)
		if from < 0 || n <= 0 || p.Strides[0] != 1 {
			return
		}
		f(Stretch{p.Source, p.Begin + from*l.Width, n})
		first, count = first+n, count-n
	}
}
