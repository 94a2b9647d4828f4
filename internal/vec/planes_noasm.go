package vec

func splitBF16(exponent, fraction, src []byte) { splitBF16Go(exponent, fraction, src) }
func joinBF16(dst, exponent, fraction []byte)  { joinBF16Go(dst, exponent, fraction) }
func splitF32(exponent, fraction, middle, low, src []byte) {
	splitF32Go(exponent, fraction, middle, low, src)
}
func joinF32(dst, exponent, fraction, middle, low []byte) {
	joinF32Go(dst, exponent, fraction, middle, low)
}
func split2(high, low, src []byte)                    { split2Go(high, low, src) }
func join2(dst, high, low []byte)                     { join2Go(dst, high, low) }
func pairCodes(dst, src []byte, codes *[256]byte) int { return pairCodesGo(dst, src, codes) }
func unpairCodes(dst, src []byte, values *[16]byte)   { unpairCodesGo(dst, src, values) }
