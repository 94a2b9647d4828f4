package gguf

import "weld/format"

// Within is the checkpoint in GGUF that another one shows; nil if it shows none.
func Within(c format.Checkpoint) *Checkpoint {
	for {
		if found, ok := c.(*Checkpoint); ok {
			return found
		}
		w, wraps := c.(format.Wrapper)
		if !wraps {
			return nil
		}
		c = w.Unwrap()
	}
}
