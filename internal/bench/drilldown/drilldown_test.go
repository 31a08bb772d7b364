package drilldown

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSetIsScoredByWholeCombinationsAndBadCasesAreNamed(t *testing.T) {
	dir := t.TempDir()
	var table strings.Builder
	table.WriteString("a,b,real,predict\n")
	for a := range 12 {
		for b := range 12 {
			real := 100 + float64((a*7+b*5)%9)
			if a == 3 && b < 6 || b == 8 {
				real = 40
			}
			fmt.Fprintf(&table, "a%d,b%d,%g,%d\n", a, b, real, 104)
		}
	}
	write(t, dir+"/one/injection_info.csv", "timestamp,set\n7,b=b8\n8,a=a3&b=b1\n9,a=a1\n")
	write(t, dir+"/one/7.csv", table.String())
	write(t, dir+"/one/8.csv", "a,b,real,predict\na1,b1,x,1\n")
	r, err := Run(context.Background(), dir, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if r.Cases != 1 || r.PerCase[0].TP != 1 || r.PerCase[0].FN != 0 {
		t.Errorf("cases %d: %+v", r.Cases, r.PerCase)
	}
	if c := r.PerCase[0]; c.FP != len(c.Found)-1 || r.Recall != 1 || r.Precision != 1/float64(len(c.Found)) {
		t.Errorf("score %+v of %+v", r.Score, c)
	}
	if len(r.Refused) != 2 || !strings.Contains(r.Refused[0], "one/8: line 2") || !strings.Contains(r.Refused[1], "one/9") {
		t.Errorf("refused: %q", r.Refused)
	}
	if _, err := Run(context.Background(), t.TempDir(), func(int, int) {}); err == nil {
		t.Error("a folder without a set is no error")
	}
}
