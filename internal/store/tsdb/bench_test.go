package tsdb_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/tsdb"
)

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// BenchmarkAppend appends one sample to each of 10,000 series per iteration,
// in commits of 2,000: the bare TSDB, and the store with its tap. "ref" are
// senders that remember refs (scraping), "labels" those that do not (remote
// write).
func BenchmarkAppend(b *testing.B) {
	bare := func(b *testing.B) storage.AppendableV2 {
		o := promtsdb.DefaultOptions()
		o.WALCompression = compression.Snappy
		db, err := promtsdb.Open(b.TempDir(), nil, nil, o, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		return db
	}
	tapped := func(b *testing.B) storage.AppendableV2 {
		n := 0
		d, err := tsdb.Open(b.TempDir(), tsdb.Options{MaxFuture: -1, OnCommit: func(cs []store.Committed) {
			for i := range cs {
				n += int(cs[i].T & 1)
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = d.Close() })
		return d
	}
	for _, c := range []struct {
		name string
		open func(*testing.B) storage.AppendableV2
		refs bool
	}{{"bare/ref", bare, true}, {"tap/ref", tapped, true}, {"bare/labels", bare, false}, {"tap/labels", tapped, false}} {
		b.Run(c.name, func(b *testing.B) { benchAppend(b, c.open(b), c.refs) })
	}
}

func benchAppend(b *testing.B, db storage.AppendableV2, keepRefs bool) {
	const series, per = 10_000, 2_000
	lss := make([]labels.Labels, series)
	refs := make([]storage.SeriesRef, series)
	for i := range lss {
		lss[i] = labels.FromStrings("__name__", "http_requests_total", "job", "shop", "instance", fmt.Sprintf("10.0.%d.%d:9090", i/200, i%200),
			"method", "GET", "code", "200", "path", fmt.Sprintf("/p/%d", i))
	}
	at := int64(1_700_000_000_000)
	round := func() {
		at += 10_000
		for from := 0; from < series; from += per {
			app := db.AppenderV2(b.Context())
			for i := from; i < from+per; i++ {
				ref := refs[i]
				if !keepRefs {
					ref = 0
				}
				var err error
				if refs[i], err = app.Append(ref, lss[i], 0, at, float64(at%7919)*float64(i&3), nil, nil, storage.AOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			if err := app.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	round() // the series exist
	b.ReportAllocs()
	before := cpuSeconds(b)
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64(b.N)*series/(cpuSeconds(b)-before), "samples/cpu-s")
	b.ReportMetric(float64(b.N)*series/b.Elapsed().Seconds(), "samples/s")
}
