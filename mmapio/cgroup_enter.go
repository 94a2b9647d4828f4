package mmapio

// MemoryGroup is a memory cgroup that this process has made and entered: what it reads and writes, and the programs that it
// starts, have no more page cache than is left of its limit.
type MemoryGroup struct {
	Version int    // of cgroups: 1 or 2
	Limit   int64  // bytes of memory and page cache together
	dir     string // where it is
	before  string // the one that was left
}
