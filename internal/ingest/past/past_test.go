package past

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogo/protobuf/proto"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/norn-aiops/norn/internal/store"
)

// memory keeps what it is given.
type memory map[string][]store.ImportSample

func (m memory) Add(_ context.Context, ls labels.Labels, xs []store.ImportSample) error {
	m[ls.String()] = append(m[ls.String()], xs...)
	return nil
}

// frames encodes samples as a remote read would.
func frames(t *testing.T, series map[string][]store.ImportSample) []byte {
	t.Helper()
	var out bytes.Buffer
	w := remote.NewChunkedWriter(&out, nothing{})
	for name, xs := range series {
		msg := prompb.ChunkedReadResponse{ChunkedSeries: []*prompb.ChunkedSeries{{Labels: prompb.FromLabels(labels.FromStrings(labels.MetricName, name), nil)}}}
		for len(xs) > 0 {
			c, n, err := encodeChunk(xs)
			if err != nil {
				t.Fatal(err)
			}
			msg.ChunkedSeries[0].Chunks = append(msg.ChunkedSeries[0].Chunks, c)
			xs = xs[n:]
		}
		raw, err := proto.Marshal(&msg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(raw); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// Floats, two histograms with other buckets, and a float histogram come out as
// they went in, whatever their order in time.
func TestSamplesSurviveTheirStream(t *testing.T) {
	fh := tsdbutil.GenerateTestFloatHistogram(2)
	in := map[string][]store.ImportSample{
		"h": {{T: 1, H: tsdbutil.GenerateTestHistogram(1)}, {T: 2, H: tsdbutil.GenerateTestGaugeHistogram(9)}, {T: 3, FH: fh}, {T: 4, V: 5}},
	}
	for i := range 1000 {
		in["x"] = append(in["x"], store.ImportSample{T: int64(1000 - i), V: float64(i) / 3})
	}
	got, sum := memory{}, Summary{}
	if err := Read(t.Context(), bytes.NewReader(frames(t, in)), got, &sum, func() {}); err != nil || sum.Bad != 0 {
		t.Fatalf("%v %+v", err, sum)
	}
	x, h := got[`{__name__="x"}`], got[`{__name__="h"}`]
	if len(x) != 1000 || x[7] != in["x"][7] || len(h) != 4 || !h[0].H.Equals(in["h"][0].H) || !h[1].H.Equals(in["h"][1].H) || !h[2].FH.Equals(fh) || h[3].V != 5 {
		t.Errorf("%d floats, histograms %+v", len(x), h)
	}
}

// A bit that flips in a frame ends the stream with an error and what came before
// is kept; a frame that is cut, and one that lies about its chunks, too.
func TestADamagedStreamIsKeptAsFarAsItCame(t *testing.T) {
	good := frames(t, map[string][]store.ImportSample{"x": {{T: 1, V: 1}, {T: 2, V: 2}}})
	for name, bad := range map[string][]byte{
		"flipped": flipped(good), "cut": good[:len(good)-3], "huge": {0xff, 0xff, 0xff, 0xff, 0x7f}, "text": []byte("time,value\n1,2\n"),
	} {
		got, sum := memory{}, Summary{}
		err := Read(t.Context(), bytes.NewReader(append(bytes.Clone(good), bad...)), got, &sum, func() {})
		if err == nil || len(got[`{__name__="x"}`]) != 2 {
			t.Errorf("%s: %v, %d samples kept", name, err, len(got[`{__name__="x"}`]))
		}
	}
	lying := []prompb.Chunk{{Type: prompb.Chunk_XOR, Data: []byte{255, 255, 1, 2, 3}}, {Type: prompb.Chunk_HISTOGRAM, Data: []byte{0, 9, 0}}, {Type: 77, Data: []byte{1, 2, 3}}}
	if _, err := decode(lying, nil); err == nil {
		t.Error("chunks of nonsense were taken")
	}
}

func flipped(b []byte) []byte {
	out := bytes.Clone(b)
	out[len(out)/2] ^= 4
	return out
}

// Time and value alone are a series with the file's name; quotes, a wide form,
// a line that is too long, and no end of line at the end.
func TestCSVFilesOfAllForms(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	files := []string{
		write("machine temperature.csv", "\xef\xbb\xbftimestamp,value\r\n2026-01-01T00:00:00Z,21.5\r\n1767225900,22"),
		write("wide.csv", "ts,\"q{a=\"\"1\"\"}\",r\n1767225600,1,\n1767225660,x,2\n"+strings.Repeat("9", 2<<20)+"\n1767225720,3,4\n"),
		write("empty.csv", ""), filepath.Join(dir, "missing.csv"),
	}
	got, sum, told := memory{}, Summary{}, 0.
	err := CSV(t.Context(), files, CSVOptions{Labels: map[string]string{"job": "x"}}, got, &sum, func(s float64) { told = s })
	if err != nil {
		t.Fatal(err)
	}
	temp, q, r := got[`{__name__="machine temperature", job="x"}`], got[`{__name__="q", a="1", job="x"}`], got[`{__name__="r", job="x"}`]
	if len(temp) != 2 || temp[1].V != 22 || temp[0].T != 1767225600_000 || len(q) != 2 || len(r) != 2 || r[1].V != 4 {
		t.Errorf("%v", got)
	}
	if sum.Bad != 4 || told < .99 {
		t.Errorf("progress %v, bad: %+v", told, sum)
	}
	for i, want := range []string{"wide.csv line 3", "wide.csv line 4", "empty.csv", "missing.csv"} {
		if i >= len(sum.Problems) || !strings.Contains(sum.Problems[i].Where, want) {
			t.Errorf("problem %d does not name %s: %+v", i, want, sum.Problems)
		}
	}
}
