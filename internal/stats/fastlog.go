package stats

import "math"

// FastLog2 approximates log2(x) for positive, normal x with an absolute error
// under 0.005, by the exponent bits and a quadratic in the mantissa. Other
// input gives an unspecified finite value. It is deterministic on every
// machine that computes float32 by IEEE 754 without fused operations being
// observable at this accuracy.
func FastLog2(x float32) float32 {
	b := math.Float32bits(x)
	e := float32(int32(b>>23) - 128)
	m := math.Float32frombits(b&0x7fffff | 0x3f800000) // in [1, 2)
	return e + float32(float32(-0.34484843*m+2.02466578)*m) - 0.67487759
}
