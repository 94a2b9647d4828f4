package run

import "weld/mmapio"

// Cache says what becomes of the pages that a merge leaves in the system's page cache.
type Cache uint8

const (
	// CacheAuto drops them if they would take more than half of what memory is available,
	// and thereby push out what other programs have there.
	CacheAuto Cache = iota
	// CacheKeep leaves them to the system.
	CacheKeep
	// CacheDrop drops them.
	CacheDrop
)

// Caches are the names of the choices.
var Caches = []string{CacheAuto: "auto", CacheKeep: "keep", CacheDrop: "drop"}

// Drops decides about the page cache for a run that reads and writes so many bytes.
func (c Cache) Drops(bytes int64) bool {
	if c != CacheAuto {
		return c == CacheDrop
	}
	available, ok := mmapio.AvailableMemory()
	return ok && bytes > available/2
}
