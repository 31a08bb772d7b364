package app

import (
	"context"
	"os"
	"runtime/pprof"
	"strconv"
	"testing"

	"github.com/norn-aiops/norn/internal/bench/ingest"
	"github.com/norn-aiops/norn/internal/detect"
)

func TestZZProf(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("ZN"))
	k, _ := strconv.Atoi(os.Getenv("ZK"))
	bare, norn := IngestBench(detect.Config{})
	o := ingest.Options{Series: n, Samples: k, Rounds: 1, Seed: 1}
	w := func(open func(string) (ingest.Target, error), name string) func(string) (ingest.Target, error) {
		return func(d string) (ingest.Target, error) {
			f, _ := os.Create(name)
			tg, err := open(d)
			pprof.StartCPUProfile(f)
			s := tg.Settle
			tg.Settle = func() { if s != nil { s() }; pprof.StopCPUProfile(); f.Close() }
			return tg, err
		}
	}
	r, err := ingest.Run(context.Background(), o, w(bare, "/tmp/hot/bare.prof"), w(norn, "/tmp/hot/norn.prof"))
	t.Log(err)
	r.Print(os.Stdout)
}
