package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/ingest/past"
)

// metricImport is what the imports of metrics share.
type metricImport struct {
	server, token, data, config, output string
}

func (m *metricImport) flags(c *cobra.Command) {
	server := os.Getenv("NORN_SERVER")
	if server == "" {
		server = "127.0.0.1:7700"
	}
	f := c.Flags()
	f.StringVar(&m.server, "server", server, "address of the running Norn (or $NORN_SERVER)")
	f.StringVar(&m.token, "token", "", "bearer token (or $NORN_TOKEN)")
	f.StringVar(&m.data, "data", "", "write into this data directory, whose server does not run, instead of asking one")
	f.StringVar(&m.config, "config", "", "configuration file of the data directory's server, for retention and limits")
	f.StringVarP(&m.output, "output", "o", "table", "table or json")
	c.MarkFlagsMutuallyExclusive("server", "data")
}

const importJSON = `

JSON: samples, duplicates, refused{REASON: n}, blocks, from, to, series, entities,
learned, bad, problems[]{where, detail}, error.`

// run reads a source into the server or the data directory.
func (m *metricImport) run(cmd *cobra.Command, what string, read func(context.Context, past.Sink, *past.Summary, past.Progress) error) error {
	ctx := cmd.Context()
	bars := newPhases(os.Stderr)
	defer bars.done()
	progress := func(phase string) past.Progress { return func(share float64) { bars.set(phase, share) } }
	var local past.Summary // what the source said
	var sum *past.Summary
	var err error
	if m.data != "" {
		sum, err = m.offline(ctx, &local, read, progress(what))
	} else {
		sum, err = m.online(ctx, what, &local, read, progress)
	}
	bars.done()
	if sum == nil {
		return err
	}
	if showErr := show(cmd, m.output, summary{sum}); showErr != nil {
		return errors.Join(err, showErr)
	}
	return err
}

func (m *metricImport) offline(ctx context.Context, sum *past.Summary, read func(context.Context, past.Sink, *past.Summary, past.Progress) error, progress past.Progress) (_ *past.Summary, err error) {
	cfg, err := loadConfig(m.config)
	if err != nil {
		return nil, err
	}
	cfg.Storage.Dir = m.data
	to, err := app.NewOfflineImport(ctx, cfg, sum)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	readErr := read(ctx, to, sum, progress)
	err = to.Finish(context.WithoutCancel(ctx), func(float64) {}) // what was read is kept
	return sum, errors.Join(readErr, err)
}

func (m *metricImport) online(ctx context.Context, what string, local *past.Summary, read func(context.Context, past.Sink, *past.Summary, past.Progress) error, progress func(string) past.Progress) (*past.Summary, error) {
	token := m.token
	if token == "" {
		token = os.Getenv("NORN_TOKEN")
	}
	to, err := past.Connect(ctx, m.server, token, what, progress("learn"))
	if err != nil {
		return nil, &cli.Error{Code: cli.ExitUsage, Err: err}
	}
	readErr := read(ctx, to, local, progress(what))
	if ctx.Err() != nil {
		to.Abort(ctx.Err())
		return nil, ctx.Err()
	}
	sum, err := to.Finish()
	if sum != nil {
		sum.Bad += local.Bad
		sum.Problems = append(local.Problems, sum.Problems...)
	}
	if errors.Is(readErr, err) {
		readErr = nil
	}
	return sum, errors.Join(readErr, err)
}

// summary prints what became of an import.
type summary struct{ *past.Summary }

// MarshalJSON gives the summary alone.
func (s summary) MarshalJSON() ([]byte, error) { return json.Marshal(s.Summary) }

// Print writes the table.
func (s summary) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "stored\t%d samples of %d series, %d entities\n", s.Samples, s.Series, s.Entities)
	if s.From <= s.To {
		fmt.Fprintf(tw, "from\t%s\n", time.UnixMilli(s.From).UTC().Format(time.RFC3339))
		fmt.Fprintf(tw, "to\t%s\n", time.UnixMilli(s.To).UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(tw, "there already\t%d samples\n", s.Duplicates)
	fmt.Fprintf(tw, "learned\t%d models of series\n", s.Learned)
	for _, reason := range slices.Sorted(mapKeys(s.Refused)) {
		fmt.Fprintf(tw, "refused\t%d samples: %s\n", s.Refused[reason], reason)
	}
	if s.Bad > 0 {
		fmt.Fprintf(tw, "not readable\t%d parts\n", s.Bad)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(tw, "  %s\t%s\n", p.Where, p.Detail)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	return nil
}

func mapKeys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func importBlocks() *cobra.Command {
	var m metricImport
	c := &cobra.Command{
		Use: "blocks DIR", Short: "Import the blocks of a Prometheus data directory or snapshot", Args: cobra.ExactArgs(1),
		Long: `Imports the blocks of a Prometheus data directory (or of Thanos, Cortex, Mimir: one
block or a folder of them), of a snapshot, and what is only in its write-ahead
log. Nothing in DIR is changed; Prometheus may run. A damaged block or series is
named, and all others are imported.` + importJSON,
		Example: "  norn import blocks /var/lib/prometheus/data\n  norn import blocks ./snapshot --data ./norn-data",
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.run(cmd, "import blocks "+args[0], func(ctx context.Context, to past.Sink, sum *past.Summary, p past.Progress) error {
				return past.Blocks(ctx, args[0], to, sum, p)
			})
		},
	}
	m.flags(c)
	return c
}

func importRemoteRead() *cobra.Command {
	var m metricImport
	var match, from, to string
	var headers []string
	var o past.RemoteReadOptions
	c := &cobra.Command{
		Use: "remote-read URL", Short: "Import from a server that speaks Prometheus' remote read", Args: cobra.ExactArgs(1),
		Long: `Asks a Prometheus (/api/v1/read), or whatever else speaks its remote read protocol,
for one range of time after another and imports the answers. Streamed answers
(chunks) and plain ones are understood. A range that cannot be read three times
is named, and the others are imported.` + importJSON,
		Example: "  norn import remote-read http://prometheus:9090/api/v1/read --from 14d\n" +
			"  norn import remote-read http://thanos:10902/api/v1/read --match '{job=\"shop\"}' --from 2026-01-01T00:00:00Z --to 2026-01-15T00:00:00Z",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.URL = args[0]
			usage := func(err error) error { return &cli.Error{Code: cli.ExitUsage, Err: err} }
			now := time.Now()
			if o.From, err = moment(from, now); err != nil {
				return usage(fmt.Errorf("--from: %w", err))
			}
			if o.To, err = moment(to, now); err != nil {
				return usage(fmt.Errorf("--to: %w", err))
			}
			if o.From > o.To {
				return usage(fmt.Errorf("--from %s is after --to %s", from, to))
			}
			if o.Matchers, err = matchers(match); err != nil {
				return usage(fmt.Errorf("--match: %w", err))
			}
			if o.Headers, err = pairs(headers, ":"); err != nil {
				return usage(fmt.Errorf("--header: %w", err))
			}
			return m.run(cmd, "import remote-read "+args[0], func(ctx context.Context, to past.Sink, sum *past.Summary, p past.Progress) error {
				return past.RemoteRead(ctx, o, to, sum, p)
			})
		},
	}
	c.Flags().StringVar(&match, "match", "", "selector of the series, as in PromQL; all without one")
	c.Flags().StringVar(&from, "from", "14d", "begin: RFC 3339, Unix seconds, or how long ago (14d, 36h)")
	c.Flags().StringVar(&to, "to", "0s", "end, in the same forms")
	c.Flags().DurationVar(&o.Slice, "slice", 6*time.Hour, "range of time of one request")
	c.Flags().StringArrayVar(&headers, "header", nil, "header of every request, as Name: value; may be repeated")
	m.flags(c)
	return c
}

func importCSV() *cobra.Command {
	var m metricImport
	var o past.CSVOptions
	var extra []string
	c := &cobra.Command{
		Use: "csv FILE...", Short: "Import metrics from CSV files", Args: cobra.MinimumNArgs(1),
		Long: `Imports CSV files with a header line, in the forms of docs/ingest.md: a line per
sample (time,name,value,LABEL...), a column per series (time,SERIES,SERIES...), or
time and value alone, which is one series with the file's name. Lines that cannot
be read are named, and all others are imported.` + importJSON,
		Example: "  norn import csv cpu.csv memory.csv --label service_name=shop\n  norn import csv *.csv --data ./norn-data",
		RunE: func(cmd *cobra.Command, files []string) (err error) {
			if o.Labels, err = pairs(extra, "="); err != nil {
				return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("--label: %w", err)}
			}
			return m.run(cmd, "import csv", func(ctx context.Context, to past.Sink, sum *past.Summary, p past.Progress) error {
				return past.CSV(ctx, files, o, to, sum, p)
			})
		},
	}
	c.Flags().StringVar(&o.Metric, "metric", "", "name of the series of files with time and value alone, instead of the file's")
	c.Flags().StringArrayVar(&extra, "label", nil, "label of every series, as name=value; may be repeated")
	m.flags(c)
	return c
}

func pairs(list []string, sep string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range list {
		k, v, ok := strings.Cut(p, sep)
		if k = strings.TrimSpace(k); !ok || k == "" {
			return nil, fmt.Errorf("%q is not of the form name%svalue", p, sep)
		}
		out[k] = strings.TrimSpace(v)
	}
	return out, nil
}

func matchers(text string) ([]*labels.Matcher, error) {
	if text == "" {
		return nil, nil
	}
	ms, err := parser.NewParser(parser.Options{}).ParseMetricSelector(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a selector: %w", text, err)
	}
	return ms, nil
}

// moment reads RFC 3339, Unix seconds, or how long ago.
func moment(text string, now time.Time) (int64, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UnixMilli(), nil
	}
	var days, seconds float64
	if n, err := fmt.Sscanf(text, "%fd", &days); err == nil && n == 1 && strings.HasSuffix(text, "d") {
		return now.UnixMilli() - int64(days*86400_000), nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d).UnixMilli(), nil
	}
	if n, err := fmt.Sscanf(text, "%f", &seconds); err == nil && n == 1 && seconds > 1e6 && !math.IsInf(seconds, 0) {
		return int64(seconds * 1000), nil
	}
	return 0, fmt.Errorf("%q is neither RFC 3339 nor Unix seconds nor a time ago such as 14d", text)
}
