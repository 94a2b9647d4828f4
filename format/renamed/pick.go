package renamed

import "weld/format"

// Pick shows some of c's tensors under names that are given: those of the tensors, by their indexes, of which "" leaves one out. No name
// may be there twice. Closing what it returns closes c.
func Pick(c format.Checkpoint, names []string) format.Checkpoint {
	s := &shownCheckpoint{Checkpoint: c}
	for i, t := range c.Tensors() {
		if names[i] == "" {
			continue
		}
		t.Name = names[i]
		s.add(t, shownFrom{whole: i})
	}
	s.sort()
	return s
}
