package huffman

// Counts is how often each byte is there.
type Counts [256]uint32

// lanes is how many tables are counted into at once: one byte many times in a row would otherwise wait for its own
// count each time.
const lanes = 4

// Add counts bytes.
func (c *Counts) Add(src []byte) {
	if len(src) < 1<<10 {
		for _, b := range src {
			c[b]++
		}
		return
	}
	var t [lanes]Counts
	for len(src) >= 8 {
		p := src[:8]
		t[0][p[0]]++
		t[1][p[1]]++
		t[2][p[2]]++
		t[3][p[3]]++
		t[0][p[4]]++
		t[1][p[5]]++
		t[2][p[6]]++
		t[3][p[7]]++
		src = src[8:]
	}
	for _, b := range src {
		t[0][b]++
	}
	for i := range c {
		c[i] += t[0][i] + t[1][i] + t[2][i] + t[3][i]
	}
}

// Total is how many bytes were counted.
func (c *Counts) Total() (n int) {
	for _, k := range c {
		n += int(k)
	}
	return n
}
