package stats

import "math"

// FastLog2 approximates log2(x) for positive, normal x with an absolute error
// under 0.005, by the exponent bits and a quadratic in the mantissa. Other
// input gives an unspecified finite value. Products are rounded before they
// are added, so that machines with fused operations give the same bits.
func FastLog2(x float32) float32 {
	b := math.Float32bits(x)
	e := float32(int32(b>>23) - 128)
	m := math.Float32frombits(b&0x7fffff | 0x3f800000) // in [1, 2)
	slope := float32(-0.34484843*m) + 2.02466578
	return e + float32(slope*m) - 0.67487759
}
