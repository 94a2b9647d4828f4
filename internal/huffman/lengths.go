package huffman

// measure sets the lengths of an unbounded Huffman code, by the two queues of leaves and of nodes, both ascending:
// the parent of each node is known when it is made, and lengths follow from the root down.
func (c *Code) measure() {
	n := len(c.leaves)
	var sums [256]uint64
	var parents [512]uint16 // of leaves, then of nodes
	leaf, node := 0, 0      // the first of each queue
	for made := range n - 1 {
		for range 2 {
			if leaf < n && (node == made || c.leaves[leaf]>>8 <= sums[node]) {
				sums[made] += c.leaves[leaf] >> 8
				parents[leaf] = uint16(made)
				leaf++
			} else {
				sums[made] += sums[node]
				parents[n+node] = uint16(made)
				node++
			}
		}
	}
	var depths [256]uint8
	for k := n - 3; k >= 0; k-- {
		depths[k] = depths[parents[n+k]] + 1
	}
	for i := range n {
		c.lengths[i] = depths[parents[i]] + 1
	}
}

// bound makes no length greater than [MaxBits], and leaves the code complete: every sequence of bits means
// something. Lengths fall as counts rise, so that those of one length lie together: the rarest of them comes first.
func (c *Code) bound() {
	n := len(c.leaves)
	var many [MaxBits + 2]int // of each length
	taken := 0                // of room, by all codes
	for i := range n {
		c.lengths[i] = min(c.lengths[i], MaxBits)
		many[c.lengths[i]]++
		taken += space(c.lengths[i])
	}
	for taken > room {
		l := c.cheapest(&many, taken-room)
		taken -= space(l) - space(l+1)
		many[l]--
		many[l+1]++
	}
	for taken < room {
		l := c.dearest(&many, room-taken)
		taken += space(l)
		many[l]--
		many[l-1]++
	}
	i := 0
	for l := MaxBits; l > 0; l-- {
		for range many[l] {
			c.lengths[i] = uint8(l)
			i++
		}
	}
}

// room is how many of the longest codes there could be.
const room = 1 << MaxBits

// space is how much of it a code takes.
func space[L uint8 | int](length L) int { return room >> length }

// cheapest is the length whose rarest byte becomes longer by a bit at the least cost for what that gives, of a need.
func (c *Code) cheapest(many *[MaxBits + 2]int, need int) (best int) {
	first := many[MaxBits]
	cost, gain := uint64(0), uint64(0)
	for l := MaxBits - 1; l > 0; l-- {
		if many[l] > 0 {
			count, gives := c.leaves[first]>>8, uint64(min(need, space(l+1)))
			if best == 0 || count*gain < cost*gives {
				best, cost, gain = l, count, gives
			}
		}
		first += many[l]
	}
	return best
}

// dearest is the length whose most frequent byte becomes shorter by a bit at the most gain for what that takes, of
// what is left.
func (c *Code) dearest(many *[MaxBits + 2]int, left int) (best int) {
	after := 0
	gain, cost := uint64(0), uint64(1)
	for l := MaxBits; l > 1; l-- {
		after += many[l]
		if many[l] > 0 && space(l) <= left {
			count, takes := c.leaves[after-1]>>8, uint64(space(l))
			if best == 0 || count*cost > gain*takes {
				best, gain, cost = l, count, takes
			}
		}
	}
	return best
}
