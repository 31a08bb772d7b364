package tsdb

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const hour = int64(3600_000)

func ramp(from, to, step int64) (out []store.ImportSample) {
	for t := from; t < to; t += step {
		out = append(out, store.ImportSample{T: t, V: float64(t / 1000)})
	}
	return out
}

func all(t *testing.T, d *DB, name string) []telemetry.Sample {
	t.Helper()
	got, err := d.Select(t.Context(), 0, 1<<62, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, name))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		return nil
	}
	return got[0].Samples
}

func bring(t *testing.T, d *DB, now int64, name string, xs []store.ImportSample) store.ImportStats {
	t.Helper()
	m := d.NewImport(now)
	if err := m.Add(labels.FromStrings(labels.MetricName, name), xs); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m.Stats()
}

// The head has live samples from noon on. Two weeks before, and up to the
// present, come later from another database; the same again adds nothing. After
// SIGKILL nothing live and nothing imported is missing: the blocks of the past
// must not make the log look old.
func TestThePastIsAddedOnceBesideLiveSamples(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().UnixMilli()
	noon := now - 2*hour
	d, err := Open(dir, Options{Retention: 30 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	app := d.AppenderV2(t.Context())
	for at := noon; at < now; at += 60_000 {
		if _, err := app.Append(0, labels.FromStrings(labels.MetricName, "live"), 0, at, 1, nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := app.Append(0, labels.FromStrings(labels.MetricName, "both"), 0, at, -1, nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	past := ramp(noon-14*24*hour, now, 60_000) // overlaps what is live
	want := len(past)
	got := bring(t, d, now, "both", past)
	if live := int(2 * hour / 60_000); got.Duplicates != live || got.Samples != want-live || got.From != past[0].T {
		t.Fatalf("of %d samples, %d of them live already: %+v", want, live, got)
	}
	if again := bring(t, d, now, "both", past); again.Samples != 0 || again.Duplicates != want || again.Blocks != 0 {
		t.Fatalf("the same again: %+v", again)
	}
	check := func(d *DB) {
		t.Helper()
		if n := len(all(t, d, "live")); n != int(2*hour/60_000) {
			t.Errorf("%d live samples are left", n)
		}
		both := all(t, d, "both")
		if len(both) != want || both[0].V != float64(past[0].T/1000) || both[want-1].V != -1 {
			t.Errorf("%d of %d samples", len(both), want)
		}
	}
	check(d)
	killed := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil { // what a kill would leave
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(killed, "lock"))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(killed, Options{Retention: 30 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	check(again)
	if err := again.Compact(); err != nil {
		t.Fatal(err)
	}
	check(again)
}

// Samples in no order, twice, in the future, too old, of a series without a
// name, and native histograms.
func TestAnImportNamesWhatItRefusesAndKeepsTheRest(t *testing.T) {
	d, err := Open(t.TempDir(), Options{Retention: 10 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	now := time.Now().UnixMilli()
	m := d.NewImport(now)
	x := labels.FromStrings(labels.MetricName, "x")
	err = m.Add(x, []store.ImportSample{{T: now - hour, V: 3}, {T: now - 50*hour, V: 1}, {T: now - 2*hour, V: 2}, {T: now - hour, V: 4},
		{T: now - 400*24*hour, V: 1}, {T: now + 24*hour, V: 1}})
	var bad *RefusedError
	if !errors.As(err, &bad) || bad.Reason != ReasonTooOld {
		t.Fatalf("refused: %v", err)
	}
	if err := m.Add(labels.FromStrings("job", "nameless"), []store.ImportSample{{T: now, V: 1}}); !errors.As(err, &bad) || bad.Reason != ReasonInvalidLabels {
		t.Fatalf("a series without a name: %v", err)
	}
	h := tsdbutil.GenerateTestHistogram(3)
	if err := m.Add(labels.FromStrings(labels.MetricName, "h"), []store.ImportSample{{T: now - hour, H: h}}); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := m.Stats()
	if got.Samples != 4 || got.Duplicates != 1 || got.Refused[ReasonTooOld] != 1 || got.Refused[ReasonFarFuture] != 1 || got.Refused[ReasonInvalidLabels] != 1 {
		t.Errorf("%+v", got)
	}
	s := all(t, d, "x")
	if len(s) != 3 || s[0].V != 1 || s[1].V != 2 || s[2].V != 3 {
		t.Errorf("stored: %v", s)
	}
	if res, err := d.QueryRange(t.Context(), "histogram_count(h)", now-hour, now-hour, 1000); err != nil || len(res) != 1 || res[0].Samples[0].V != float64(h.Count) {
		t.Errorf("the histogram: %v %v", res, err)
	}
}

// Readers on several shelves see what SelectAll sees.
func TestShelvesHoldEverySeriesOnce(t *testing.T) {
	d, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	now := time.Now().UnixMilli()
	for _, name := range []string{"a", "b", "c", "d"} {
		bring(t, d, now, name, ramp(now-60*hour, now-hour, 600_000))
		app := d.AppenderV2(t.Context())
		if _, err := app.Append(0, labels.FromStrings(labels.MetricName, name), 0, now, 1, nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for part := range uint64(2) {
		s, err := d.Shelf(t.Context(), 0, now, func(ls labels.Labels) bool { return ls.Hash()%2 == part })
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Len() {
			xs, err := s.Samples(i, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k := 1; k < len(xs); k++ {
				if xs[k].T <= xs[k-1].T {
					t.Fatalf("sample %d is not after the one before", k)
				}
			}
			seen[s.Labels(i).Get(labels.MetricName)] += len(xs)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if seen[name] != len(all(t, d, name)) || seen[name] != 59*6+1 {
			t.Errorf("%s: %d samples on the shelves, %d in the store", name, seen[name], len(all(t, d, name)))
		}
	}
}
