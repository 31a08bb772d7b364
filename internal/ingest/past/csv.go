package past

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/ingest/web"
	"github.com/norn-aiops/norn/internal/store"
)

// CSVOptions say what files are about.
type CSVOptions struct {
	// Metric names the series of files that have only a time and a value column;
	// "" takes the file's name.
	Metric string
	Labels map[string]string // of every series
}

// csvBatch is how many samples of a file are collected before they go to the
// sink series by series.
const csvBatch = 200_000

// CSV reads files in the forms that POST /api/v1/import/metrics takes. Lines that
// cannot be read are noted with file and number; so are files.
func CSV(ctx context.Context, files []string, o CSVOptions, to Sink, sum *Summary, progress Progress) error {
	var total, done int64
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			sum.Note(name, err)
			continue
		}
		before := done
		count := &counting{r: f, told: func(n int64) { progress(float64(before+n) / float64(max(1, total))) }}
		err = csvFile(ctx, name, count, o, to, sum)
		done += count.n
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// counting counts the bytes that were read.
type counting struct {
	r    io.Reader
	n    int64
	told func(n int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.told(c.n)
	return n, err
}

func csvFile(ctx context.Context, name string, r io.Reader, o CSVOptions, to Sink, sum *Summary) error {
	metric := o.Metric
	if metric == "" {
		metric = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	}
	c, err := web.NewCSV(r, metric)
	if err != nil {
		sum.Note(name, err)
		return nil
	}
	var rows []web.CSVSample
	for {
		var bad *web.Problem
		rows, bad, err = c.Next(rows)
		if bad != nil {
			sum.Note(fmt.Sprintf("%s line %d", name, bad.Line), fmt.Errorf("%s: %s", bad.Reason, bad.Detail))
		}
		if len(rows) >= csvBatch || err != nil {
			if err := sendRows(ctx, rows, o.Labels, to); err != nil {
				return err
			}
			rows = rows[:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return ctx.Err()
		case err != nil:
			sum.Note(name, err)
			return ctx.Err()
		}
	}
}

// sendRows hands over rows series by series.
func sendRows(ctx context.Context, rows []web.CSVSample, extra map[string]string, to Sink) error {
	type group struct {
		ls labels.Labels
		xs []store.ImportSample
	}
	by := map[string]*group{}
	var order []*group
	var key []byte
	for i := range rows {
		key = rows[i].Labels.Bytes(key)
		g := by[string(key)]
		if g == nil {
			b := labels.NewBuilder(rows[i].Labels)
			for k, v := range extra {
				b.Set(k, v)
			}
			g = &group{ls: b.Labels()}
			by[string(key)] = g
			order = append(order, g)
		}
		g.xs = append(g.xs, store.ImportSample{T: rows[i].T, V: rows[i].V})
	}
	for _, g := range order {
		if err := to.Add(ctx, g.ls, g.xs); err != nil {
			return err
		}
	}
	return nil
}
