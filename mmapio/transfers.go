package mmapio

// Transfers are bytes that went over from disks and to them.
type Transfers struct{ Read, Written int64 }

// Since is what came after another state of the same process.
func (t Transfers) Since(before Transfers) Transfers {
	return Transfers{t.Read - before.Read, t.Written - before.Written}
}
