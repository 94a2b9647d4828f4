package importance

import "os"

// interrupt ends a program: there is no way to ask it.
func interrupt(p *os.Process) error { return p.Kill() }
