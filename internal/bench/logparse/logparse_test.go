package logparse

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMiningKnownLinesAllocatesNothingAndAFloodIsBounded(t *testing.T) {
	r, err := Run(t.Context(), Options{Lines: 60_000, Rounds: 1, Flood: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	if r.Bytes < 100 || r.Bytes > 200 || r.Templates < 50 || r.Templates > 400 {
		t.Errorf("made-up lines of %.0f bytes, %d templates", r.Bytes, r.Templates)
	}
	if r.Allocs > 0.01 {
		t.Errorf("%.4f allocations a line", r.Allocs)
	}
	if r.FloodBytes > 10<<20 || r.FloodTemplates == 0 {
		t.Errorf("a flood leaves %d bytes, %d templates", r.FloodBytes, r.FloodTemplates)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "lines per CPU-second") {
		t.Errorf("%v %s", err, out.String())
	}
	if _, err := Run(t.Context(), Options{File: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a missing file passes")
	}
	file := filepath.Join(t.TempDir(), "own.log")
	if err := os.WriteFile(file, []byte("a 1\nb 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Run(t.Context(), Options{File: file, Lines: 10, Rounds: 1, Flood: 10}); err != nil || r.Templates != 2 {
		t.Errorf("own lines: %+v, %v", r, err)
	}
}
