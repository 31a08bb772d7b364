package csvdata

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadSeries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	os.WriteFile(path, []byte("timestamp,value\n2020-01-01 00:00:00, 1.5\n2020-01-01T00:05:00Z,-2e3,extra\n"), 0o644)
	if _, err := ReadSeries(path); err == nil {
		t.Error("rows of different width were accepted")
	}
	os.WriteFile(path, []byte("timestamp,value\n2020-01-01 00:00:00, 1.5\n2020-01-01T00:05:00Z,-2e3\n1577837400,7\n"), 0o644)
	s, err := ReadSeries(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Series{T: []int64{1577836800, 1577837100, 1577837400}, V: []float64{1.5, -2000, 7}}
	for i := range want.T {
		if s.T[i] != want.T[i] || s.V[i] != want.V[i] {
			t.Errorf("row %d: %v %v", i, s.T[i], s.V[i])
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2020-01-01 00:00:00", "", "1e400", "NaN", "2020-01-01 00:00:00.000001", "-5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseTime(s); err == nil && (v > 1<<40 || v < -1<<40) {
			t.Errorf("%q was read as %d", s, v)
		}
	})
}
