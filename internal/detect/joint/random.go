package joint

import "math/rand/v2"

// walkRandom carries the state of a generator.
func walkRandom(c *codec, p *rand.PCG) {
	state, err := p.MarshalBinary()
	if err != nil {
		c.err = err
		return
	}
	b := c.next(len(state))
	if b == nil {
		return
	}
	if !c.read {
		copy(b, state)
		return
	}
	if err := p.UnmarshalBinary(b); err != nil {
		c.err = err
	}
}
