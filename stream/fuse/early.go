package fuse

// Early is a method that can fill the output in the walk that finds its thresholds, but for a few elements: those it guesses, leaves
// for later, and decides when the walk is through.
type Early interface {
	Method
	// Searches reports whether thresholds over the whole model are looked for, and why they have to be found before anything is fused, as they are
	// wanted; "" where they need not be.
	Searches() (searches bool, before string)
	// Rewrites is the share of the output's pages that will probably be written again, for elements that were guessed wrong.
	Rewrites() float64
	// Early returns that pass, or nil where more has to be known before anything is fused. It follows the passes of Next; where
	// the pass was in vain, both are asked again.
	Early() *EarlyPass
}

// EarlyPass is a [Pass] with outputs: the last stage of each chain fills Span.Out, and hands what it cannot decide to
// Span.Later.
type EarlyPass struct {
	Pass
	// Decided reports, after End, whether all that was left can be decided now. If not, the output was filled in vain.
	Decided func() bool
	// Decide is the stage that fuses what was left of a job: the tiles of its spans are those elements, in order and without the
	// others. It marks in Span.Changed those that may be other than what was written.
	Decide func(job int) Stage
	// GiveUp takes the place of End where more was left than there is room for, and follows Decided where there is none for what is decided: everything will
	// be asked again without.
	GiveUp func()
}

// Later takes the elements that a stage cannot decide yet. Each worker has its own.
type Later interface {
	// Leave takes elements of a tile of a span, and keeps their operands. They are counted from the tile's first, ascending; what
	// is written for them is a guess.
	Leave(sp *Span, t Tile, at []uint32) error
}
