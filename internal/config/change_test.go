package config

import (
	"errors"
	"strings"
	"testing"
)

// A change is laid over the present settings, which stay as they are.
func TestAChangeIsLaidOverThePresent(t *testing.T) {
	present, err := Parse([]byte("detection: {max_series: 77, rules: [{name: a, match: up, weight: 2}]}"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Change(present, []byte("detection:\n  false_alarms_per_series_week: 3\n"))
	if err != nil || c.Detect.Sensitivity != 3 || c.Detect.MaxSeries != 77 || len(c.Detect.Rules) != 1 || present.Detect.Sensitivity == 3 {
		t.Errorf("%+v %v", c.Detect, err)
	}
	c, err = Change(present, []byte("detection: {rules: [{name: b, match: down, weight: 0}, {name: c, match: x}]}"))
	if err != nil || len(c.Detect.Rules) != 2 || present.Detect.Rules[0].Name != "a" || *present.Detect.Rules[0].Weight != 2 {
		t.Errorf("%+v %v; present %+v", c.Detect, err, present.Detect)
	}
}

// What is wrong is named with its line.
func TestABadChangeIsRefusedWithItsLine(t *testing.T) {
	for _, tc := range []struct{ change, want string }{
		{"detection:\n  max_series: 5\n  senses: 1\n", "line 3: field senses not found"},
		{"detection:\n  max_series: many\n", "line 2: cannot unmarshal"},
		{"\ndetection:\n  max_series: 7\n  full_series: -1\n", "line 4: detection.full_series"},
		{"detection:\n  false_alarms_per_series_week: 0\n", "line 2: detection.false_alarms_per_series_week"},
		{"detection:\n  rules:\n    - name: a\n      match: up\n    - name: b\n      match: 'x{'\n", "line 6: detection.rules[1] (b).match"},
		{"detection:\n  rules:\n    - match: up\n", "line 3: detection.rules[0]"},
		{"server:\n  listen: x\n", "line 1: server: only what is below detection"},
		{"detection: {}\nstorage: {dir: x}\n", "line 2: storage"},
		{"detection: [\n", "line 1"},
		{"\tdetection: 1\n", "line 1"},
		{"- 1\n", "line 1"},
		{"", "line 1"},
		{"detection: {}\n---\ndetection: {}\n", "second document"},
	} {
		_, err := Change(Default(), []byte(tc.change))
		if !errors.Is(err, ErrChange) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.change, err, tc.want)
		}
	}
}

func FuzzChange(f *testing.F) {
	f.Add("detection:\n  rules: [{name: a, match: up}]\n")
	f.Add("detection: &a\n  rules: [*a]\n")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := Change(Default(), []byte(s)); err != nil && !errors.Is(err, ErrChange) {
			t.Error(err)
		}
	})
}
