// Package destination knows where an output goes: which container its name chooses, and what must not be there
// already.
//
// [ContainerOf] reads the name. [Candidate.Check] looks at the place, before any work is done: there is a directory
// for it, it is not the place of an input, and nothing is in its way.
//
// The package knows names and places. It never knows what is written, or how.
package destination
