package normalize

import (
	"math"
	"strings"
)

// scale says how to convert to a base unit: base = v * factor.
type scale struct {
	factor float64
	base   string
}

// unitScale looks a single (not composed) unit up: UCUM symbols (c/s variant,
// https://ucum.org/ucum), and the words that Prometheus naming uses. ok is
// false for units that are not known; those are left alone.
func unitScale(unit string) (s scale, ok bool) {
	if strings.HasPrefix(unit, "{") { // UCUM annotation: a counted thing
		return scale{1, unit}, true
	}
	switch unit {
	case "1", "ratio", "fraction":
		return scale{1, "1"}, true
	case "%", "percent", "[pct]":
		return scale{0.01, "1"}, true
	case "s", "second", "seconds", "sec":
		return scale{1, "s"}, true
	case "ms", "millisecond", "milliseconds", "msec", "millis":
		return scale{1e-3, "s"}, true
	case "us", "µs", "μs", "microsecond", "microseconds", "usec", "micros":
		return scale{1e-6, "s"}, true
	case "ns", "nanosecond", "nanoseconds", "nsec", "nanos":
		return scale{1e-9, "s"}, true
	case "min", "minute", "minutes":
		return scale{60, "s"}, true
	case "h", "hour", "hours":
		return scale{3600, "s"}, true
	case "d", "day", "days":
		return scale{86400, "s"}, true
	case "Hz", "hertz":
		return scale{1, "Hz"}, true
	case "Cel", "celsius":
		return scale{1, "Cel"}, true
	case "K", "kelvin":
		return scale{1, "K"}, true
	case "V", "volt", "volts":
		return scale{1, "V"}, true
	case "A", "ampere", "amperes":
		return scale{1, "A"}, true
	case "W", "watt", "watts":
		return scale{1, "W"}, true
	case "J", "joule", "joules":
		return scale{1, "J"}, true
	case "m", "meter", "meters", "metre", "metres":
		return scale{1, "m"}, true
	case "g", "gram", "grams":
		return scale{1, "g"}, true
	}
	if s, ok := byteScale(unit); ok {
		return s, true
	}
	return prefixedScale(unit)
}

func byteScale(unit string) (scale, bool) {
	f := 0.0
	switch unit {
	case "By", "B", "byte", "bytes":
		f = 1
	case "bit", "bits":
		f = 1.0 / 8
	case "kBy", "KBy", "kB", "KB", "kilobyte", "kilobytes":
		f = 1e3
	case "MBy", "MB", "megabyte", "megabytes":
		f = 1e6
	case "GBy", "GB", "gigabyte", "gigabytes":
		f = 1e9
	case "TBy", "TB", "terabyte", "terabytes":
		f = 1e12
	case "KiBy", "KiB", "kibibyte", "kibibytes":
		f = 1 << 10
	case "MiBy", "MiB", "mebibyte", "mebibytes":
		f = 1 << 20
	case "GiBy", "GiB", "gibibyte", "gibibytes":
		f = 1 << 30
	case "TiBy", "TiB", "tebibyte", "tebibytes":
		f = 1 << 40
	case "kbit", "Kbit", "kilobits":
		f = 1e3 / 8
	case "Mbit", "megabits":
		f = 1e6 / 8
	case "Gbit", "gigabits":
		f = 1e9 / 8
	default:
		return scale{}, false
	}
	return scale{f, "By"}, true
}

// prefixedScale reads a metric prefix in front of a unit that is seldom
// written in full: mV, kW, GHz, km...
func prefixedScale(unit string) (scale, bool) {
	if len(unit) < 2 {
		return scale{}, false
	}
	switch base := unit[1:]; base {
	case "Hz", "V", "A", "W", "J", "m", "g":
		f := 0.0
		switch unit[0] {
		case 'm':
			f = 1e-3
		case 'c':
			f = 1e-2
		case 'k':
			f = 1e3
		case 'M':
			f = 1e6
		case 'G':
			f = 1e9
		default:
			return scale{}, false
		}
		return scale{f, base}, true
	}
	return scale{}, false
}

// composedScale reads "a/b" as well as single units: MiBy/s, {request}/min.
func composedScale(unit string) (scale, bool) {
	if strings.HasPrefix(unit, "{") && strings.HasSuffix(unit, "}") && strings.Count(unit, "}") == 1 {
		return scale{1, unit}, true
	}
	i := strings.LastIndexByte(unit, '/')
	if i < 0 || strings.LastIndexByte(unit, '}') > i {
		return unitScale(unit)
	}
	num, den := scale{1, "1"}, scale{}
	ok := true
	if i > 0 {
		num, ok = unitScale(unit[:i])
	}
	if !ok {
		return scale{}, false
	}
	if den, ok = unitScale(unit[i+1:]); !ok {
		return scale{}, false
	}
	f := num.factor / den.factor
	switch {
	case num.base == den.base:
		return scale{f, "1"}, true
	case num.base == "1":
		return scale{f, "1/" + den.base}, true
	}
	return scale{f, num.base + "/" + den.base}, true
}

// BaseUnit converts a value to the UCUM base unit of its unit: ms to s, MiBy
// to By, % to 1, {request}/min to {request}/s. It also knows the words that
// Prometheus names use ("milliseconds", "percent"). Values in units that it
// does not know are returned unchanged with their unit. NaN and infinities
// stay what they are.
func BaseUnit(v float64, unit string) (float64, string) {
	s, ok := composedScale(unit)
	if !ok {
		return v, unit
	}
	return v * s.factor, s.base
}

// scaleOf decides a series' unit: as the sender said, else by the last word of
// the metric's name without the type's suffix (Prometheus naming practice,
// https://prometheus.io/docs/practices/naming/).
func scaleOf(name, unit string) scale {
	if unit != "" {
		if s, ok := composedScale(unit); ok {
			return s
		}
		return scale{1, unit}
	}
	word := unitWord(name)
	switch word { // only words that are surely units; "m", "min", "h", "d", "b"... mean other things in names
	case "ms", "us", "ns", "seconds", "milliseconds", "microseconds", "nanoseconds", "millis", "micros", "nanos", "minutes", "hours", "days",
		"bytes", "kilobytes", "megabytes", "gigabytes", "kibibytes", "mebibytes", "gibibytes", "bits", "percent", "ratio",
		"celsius", "kelvin", "volts", "amperes", "watts", "joules", "hertz", "meters", "grams":
		s, _ := unitScale(word)
		return s
	case "kb":
		return scale{1e3, "By"}
	case "mb":
		return scale{1e6, "By"}
	case "gb":
		return scale{1e9, "By"}
	case "sec":
		return scale{1, "s"}
	}
	return scale{1, ""}
}

func unitWord(name string) string {
	name = familyName(name)
	if i := strings.LastIndexByte(name, '_'); i >= 0 {
		return name[i+1:]
	}
	return ""
}

// familyName takes the suffixes off that a type adds to a metric's name.
func familyName(name string) string {
	for _, s := range []string{"_total", "_bucket", "_count", "_sum"} {
		if n, ok := strings.CutSuffix(name, s); ok && n != "" {
			return n
		}
	}
	return name
}

// perSecond is the unit of the rate of a counter in the given base unit:
// seconds a second are a ratio.
func perSecond(base string) string {
	switch base {
	case "s":
		return "1"
	case "", "1":
		return "1/s"
	}
	return base + "/s"
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
