package state_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store/state"
)

// BenchmarkPutAnomaly stores anomalies in SQLite, one transaction each.
func BenchmarkPutAnomaly(b *testing.B) {
	s, err := state.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	i := 0
	for b.Loop() {
		i++
		a := ops.Anomaly{ID: fmt.Sprint("a", i%5000), Onset: int64(i), Series: "rate(http_requests_total)", Text: "a line of text"}
		if err := s.PutAnomaly(b.Context(), &a); err != nil {
			b.Fatal(err)
		}
	}
}
