package replay

import (
	"bytes"
	"math"
	"testing"

	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Every reader must refuse or read any bytes: no panic, no endless loop, and
// what it gives is usable.

func usable(t *testing.T, s Sample) {
	t.Helper()
	if s.T <= 0 || math.IsNaN(s.V) || math.IsInf(s.V, 0) || s.Labels.Get("__name__") == "" {
		t.Fatalf("unusable sample %+v", s)
	}
}

func usableBatch(t *testing.T, b *batch) {
	t.Helper()
	for _, it := range b.feed().items {
		for _, s := range it.Samples {
			usable(t, s)
		}
	}
}

func FuzzPetshop(f *testing.F) {
	f.Add([]byte("microservice,A\nmetric,latency\nstatistic,Average\nunix_timestamp,\n1690000000.0,0.1\n"))
	f.Add([]byte("a,b\nc,d\ne,f\n1e300,NaN\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if tb, err := readPetshopTable(bytes.NewReader(raw)); err == nil {
			b := newBatch(petshopStep)
			tb.addTo(b, 0)
			usableBatch(t, b)
		}
		if edges, err := readPetshopGraph(bytes.NewReader(raw)); err == nil {
			for _, e := range edges {
				if e.From == e.To {
					t.Fatal("an edge to itself")
				}
			}
		}
	})
}

func FuzzSockshop(f *testing.F) {
	f.Add([]byte("time,carts_cpu,carts_lat_50\n1650000000,1,0.2\n"))
	f.Add([]byte("time,_\nInf,1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ss, err := readSockshop(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for _, s := range ss {
			usable(t, s)
		}
	})
}

func FuzzNezhaMetrics(f *testing.F) {
	f.Add([]byte("Time,TimeStamp,PodName,CpuUsageRate(%)\n2023-01-29 08:41:09.85 +0000 UTC m=+0.9,1674981669,a-b-c,2.8\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := newBatch(10_000)
		if err := nezhaMetricRows(bytes.NewReader(raw), b, map[int64]bool{}); err != nil {
			return
		}
		for _, it := range b.feed().items {
			for _, s := range it.Samples {
				if math.IsNaN(s.V) || s.Labels.Get("service_name") == "" {
					t.Fatalf("unusable sample %+v", s)
				}
			}
		}
	})
}

func FuzzNezhaLogs(f *testing.F) {
	f.Add([]byte("Timestamp,PodName,Log\n2023-01-29T08:42:22Z,a-b-c,\"{\"\"log\"\":\"\"x\"\"}\"\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		recs, err := readNezhaLogs(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for _, r := range recs {
			if r.Entity.IsZero() {
				t.Fatal("a line of nobody")
			}
		}
	})
}

func FuzzNezhaSpans(f *testing.F) {
	f.Add([]byte("TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano\nt,a,root,p-q-r,op,1,2\nt,b,a,x-y-z,op exception,1,2\nt,c,c,x,op,1,2\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		spans, err := readNezhaSpans(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for _, s := range spans {
			if s.End < s.Start || s.SpanID == "" || s.Kind == "" {
				t.Fatalf("unusable span %+v", s)
			}
		}
	})
}

func FuzzNezhaFaults(f *testing.F) {
	f.Add([]byte(`{"08":[{"inject_time":"2023-01-29 08:43:04","inject_timestamp":"1","inject_pod":"p","inject_type":"return"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fs, _, err := readNezhaFaults(raw, "day")
		if err != nil {
			return
		}
		for _, x := range fs {
			if x.Entity.IsZero() || x.End < x.Onset {
				t.Fatalf("unusable fault %+v", x)
			}
		}
	})
}

func FuzzAlerts(f *testing.F) {
	f.Add([]byte(`{"0":[["1647736800000","cart-0","node-1","cpu","up"],["2022-03-20","82",["2022-03-20 08:42:51.000 | x"],1,null],[1,2],null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := &alertSystem{kinds: map[string]telemetry.EntityKind{}, owner: map[string]string{}}
		if err := s.readGraph(raw); err == nil {
			for _, e := range s.edges {
				if e.From.IsZero() || e.To.IsZero() {
					t.Fatal("an edge without an end")
				}
			}
		}
		_ = s.readLabels(bytes.NewReader(raw))
		for _, k := range []string{"metric", "trace", "log"} {
			as, _, err := s.readAlerts(raw, k)
			if err != nil {
				return
			}
			for _, a := range as {
				if a.StartsAt <= 0 || a.Entity.IsZero() || s.endOf(a) <= a.StartsAt {
					t.Fatalf("unusable alert %+v", a)
				}
			}
		}
	})
}

func FuzzPromCSV(f *testing.F) {
	f.Add([]byte("timestamp,metric,service_name,value\n1700000000,x,cart,10\n"))
	f.Add([]byte("timestamp,up,\"x{a=\"\"b\"\"}\"\n2023-11-14T22:13:40Z,1,2\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = readMetricCSV(bytes.NewReader(raw), func(s Sample) { usable(t, s) })
		_, _ = readEdges(bytes.NewReader(raw))
		_ = readChanges(bytes.NewReader(raw), func(c telemetry.Change) {
			if c.Time <= 0 {
				t.Fatalf("unusable change %+v", c)
			}
		})
	})
}

func FuzzOTLP(f *testing.F) {
	f.Add([]byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000","asDouble":0.5}]}}]}]}]}`))
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"x"}}]}]}]}`))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o := &otlpReader{b: newBatch(10_000), cum: normalize.NewCumulator(1000)}
		if err := o.read(bytes.NewReader(raw)); err != nil {
			return
		}
		usableBatch(t, o.b)
	})
}
