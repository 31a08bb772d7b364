package logseq

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSetsAreFoundAndScored(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, n int, events func(i int) string) {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "id%d,%s\n", i, events(i))
		}
		path := filepath.Join(dir, "shop", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	normal := func(i int) string { return []string{"a b c d", "a b d", "a b c c d"}[i%3] }
	put("shop_train", 60, normal)
	put("shop_test_normal", 300, normal)
	put("shop_test_abnormal_order", 20, func(int) string { return "a d c b" })
	put("shop_test_abnormal_cut", 10, func(int) string { return "a" })
	put("lonely_train", 3, normal)
	r, err := Run(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sets) != 1 || r.Sets[0].Abnormal != 30 || r.Sets[0].AUC != 1 || r.Sets[0].F1 != 1 || r.MeanF1 != 1 {
		t.Errorf("%+v", r)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "shop") {
		t.Errorf("%v %s", err, out.String())
	}
	if s := Score([][]uint64{{1, 2}, {1, 2}}, [][]uint64{{1, 2}, {1, 2}}, [][]uint64{{1, 2}, {1, 2}}); s.AUC != 0.5 {
		t.Errorf("equal scores give AUC %g", s.AUC)
	}
	if _, err := Run(t.Context(), t.TempDir()); !errors.Is(err, ErrNoData) {
		t.Errorf("an empty folder: %v", err)
	}
	put("bad_train", 1, func(int) string { return "" })
	if err := os.WriteFile(filepath.Join(dir, "shop", "shop_train"), []byte("no comma\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken line: %v", err)
	}
}
