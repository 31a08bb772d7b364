package logmine

import "math/bits"

const (
	hashSeed = 0x9e3779b97f4a7c15
	hashMul  = 0xd6e8feb86659fd93
	// wildWord and varWord stand for a wildcard and a variable in a
	// template's row of words.
	wildWord uint64 = 0
	varWord  uint64 = 0x5bd1e9955bd1e995
)

// mix folds v into h: a 64 x 64 to 128 bit multiplication whose halves are
// joined by exclusive or.
func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v, hashMul)
	return hi ^ lo
}

// hashText hashes s, eight bytes a step. It is not meant to withstand an
// attacker who looks for collisions: the worst a collision does is to put two
// patterns of one service into one template.
func hashText(s string) uint64 {
	h := uint64(hashSeed) ^ uint64(len(s))*hashMul
	for len(s) >= 8 {
		v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h = mix(h, v)
		s = s[8:]
	}
	var v uint64
	for i := len(s) - 1; i >= 0; i-- {
		v = v<<8 | uint64(s[i])
	}
	h = mix(h, v)
	if h == wildWord || h == varWord {
		h++
	}
	return h
}
