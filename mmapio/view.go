package mmapio

// MaxView is the largest view that a [File] lends, in bytes.
const MaxView = 64 << 20

// View is a borrowed range of bytes. It is a value; copy it freely, but release
// it once.
type View struct {
	Data   []byte // read-only
	lender Lender
	token  int64
}

// Lender takes back what it lent. Readers that do not map their bytes (a
// compressed container) implement it to lend views of their own.
type Lender interface {
	// TakeBack ends the loan of data; token is what [Lend] was given.
	TakeBack(data []byte, token int64)
}

// Lend makes a view of data that is returned to lender when released.
func Lend(data []byte, lender Lender, token int64) View {
	return View{Data: data, lender: lender, token: token}
}

// Release gives the bytes back; Data must not be touched afterwards. Releasing the
// zero View does nothing.
func (v *View) Release() {
	if v.lender != nil {
		v.lender.TakeBack(v.Data, v.token)
	}
	*v = View{}
}
