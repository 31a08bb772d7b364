package config

import (
	"fmt"
	"regexp"
	"time"

	"github.com/norn-aiops/norn/internal/rules"
)

const maxPlugins = 16

// fillPlugins gives plugins the limits that they do not set.
func (c *Config) fillPlugins() {
	for i := range c.Detect.Plugins {
		p := &c.Detect.Plugins[i]
		def := func(v *int, d int) {
			if *v == 0 {
				*v = d
			}
		}
		def(&p.Limits.Memory, 256)
		def(&p.Limits.Instances, 1)
		def(&p.Limits.Series, 10_000)
		if p.Limits.CallTime == 0 {
			p.Limits.CallTime = Duration(250 * time.Millisecond)
		}
		if p.Threshold == 0 {
			p.Threshold = 1
		}
		if p.Weight == 0 {
			p.Weight = 1
		}
	}
}

func (c *Config) checkPlugins(bad report) {
	name := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	taken := map[string]bool{}
	if n := len(c.Detect.Plugins); n > maxPlugins {
		bad("detection.plugins", "%d are too many, at most %d", n, maxPlugins)
	}
	for i, p := range c.Detect.Plugins {
		key := fmt.Sprintf("detection.plugins[%d]", i)
		if !name.MatchString(p.Name) {
			bad(key+".name", "%q must be 1 to 64 letters, digits, _ or -", p.Name)
		}
		if taken[p.Name] {
			bad(key+".name", "%q is taken", p.Name)
		}
		taken[p.Name] = true
		if p.Path == "" {
			bad(key+".path", "must name a WebAssembly module")
		}
		if _, err := rules.NewMatcher(p.Match); err != nil {
			bad(key+".match", "%v", err)
		}
		if !(p.Threshold > 0 && p.Threshold < 1e30) {
			bad(key+".threshold", "must be above 0")
		}
		if !(p.Weight > 0 && p.Weight <= 10) {
			bad(key+".weight", "must be above 0 and at most 10")
		}
		l := p.Limits
		for _, x := range []struct {
			key       string
			v, lo, hi int
		}{{"memory_pages", l.Memory, 1, 16_384}, {"instances", l.Instances, 1, 64}, {"series", l.Series, 1, 1_000_000}} {
			if x.v < x.lo || x.v > x.hi {
				bad(key+".limits."+x.key, "must be between %d and %d", x.lo, x.hi)
			}
		}
		if d := time.Duration(l.CallTime); d < time.Millisecond || d > time.Minute {
			bad(key+".limits.call_timeout", "must be between 1ms and 1m")
		}
	}
}
