package holiday

import (
	"testing"
	"time"
)

func TestHolidaysOfSomeCountries(t *testing.T) {
	for _, c := range []struct {
		country string
		year    int
		month   time.Month
		day     int
		want    bool
	}{
		{"DE", 2024, 10, 3, true}, {"de", 2025, 4, 18, true}, {"DE", 2024, 10, 4, false}, {"DE", 2024, 7, 4, false},
		{"US", 2024, 7, 4, true}, {"US", 2024, 11, 28, true}, {"US", 2021, 12, 31, true}, {"US", 2024, 10, 3, false},
		{"GB", 2024, 12, 26, true}, {"FR", 2024, 7, 14, true},
	} {
		cal, ok := New(c.country)
		if !ok {
			t.Fatalf("%s is not known", c.country)
		}
		for range 2 { // the second time from memory
			if got := cal.Name(c.year, c.month, c.day); (got != "") != c.want {
				t.Errorf("%s %d-%d-%d: %q", c.country, c.year, c.month, c.day, got)
			}
		}
	}
	if _, ok := New("XX"); ok {
		t.Error("XX is known")
	}
	for _, name := range Countries() {
		cal, _ := New(name)
		n := 0
		for d := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == 2025; d = d.AddDate(0, 0, 1) {
			if cal.Name(d.Date()) != "" {
				n++
			}
		}
		if n < 5 || n > 40 {
			t.Errorf("%s has %d holidays in 2025", name, n)
		}
	}
}
