package past

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	configutil "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/norn-aiops/norn/internal/store"
)

// RemoteReadOptions say what to ask for.
type RemoteReadOptions struct {
	URL      string // of the read endpoint, for example http://prometheus:9090/api/v1/read
	Matchers []*labels.Matcher
	From, To int64             // Unix ms
	Slice    time.Duration     // of one request; 0 means 6 h
	Timeout  time.Duration     // of one request; 0 means 5 min
	Headers  map[string]string // of every request
}

// remoteTries is how often one range of time is asked for.
const remoteTries = 3

// frameLimit is the largest frame in a streamed answer, in bytes; it is what
// Prometheus itself allows.
const frameLimit = 50_000_000

// RemoteRead asks a server that speaks Prometheus' remote read protocol,
// streamed or not, for one range of time after another. A range that cannot be
// read three times is noted; that the first one cannot be is an error.
func RemoteRead(ctx context.Context, o RemoteReadOptions, to Sink, sum *Summary, progress Progress) error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is not the address of a remote read endpoint", o.URL)
	}
	if o.Slice <= 0 {
		o.Slice = 6 * time.Hour
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Minute
	}
	if len(o.Matchers) == 0 {
		o.Matchers = []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, labels.MetricName, "")}
	}
	c, err := remote.NewReadClient("norn import", &remote.ClientConfig{
		URL: &configutil.URL{URL: u}, Timeout: model.Duration(o.Timeout), Headers: o.Headers,
		HTTPClientConfig: configutil.DefaultHTTPClientConfig, ChunkedReadLimit: frameLimit,
	})
	if err != nil {
		return fmt.Errorf("cannot make a client for %s: %w", o.URL, err)
	}
	slice := o.Slice.Milliseconds()
	for from := o.From; from <= o.To; {
		end := min(from-from%slice+slice-1, o.To)
		err := retried(ctx, func() error { return readRange(ctx, c, o.Matchers, from, end, to, sum) })
		var lost *sinkError
		switch {
		case err == nil:
		case errors.As(err, &lost) || ctx.Err() != nil || from == o.From:
			return fmt.Errorf("cannot read from %s: %w", o.URL, err)
		default:
			sum.Note(fmt.Sprintf("%s to %s", stamp(from), stamp(end)), err)
		}
		from = end + 1
		progress(float64(from-o.From) / float64(o.To-o.From+1))
	}
	return nil
}

// sinkError tells what went wrong behind the reader.
type sinkError struct{ error }

func (e *sinkError) Unwrap() error { return e.error }

func retried(ctx context.Context, f func() error) (err error) {
	for i := range remoteTries {
		var lost *sinkError
		if err = f(); err == nil || errors.As(err, &lost) || ctx.Err() != nil || i == remoteTries-1 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second << i):
		}
	}
	return err
}

func readRange(ctx context.Context, c remote.ReadClient, ms []*labels.Matcher, from, end int64, to Sink, sum *Summary) error {
	q, err := remote.ToQuery(from, end, ms, nil)
	if err != nil {
		return err
	}
	set, err := c.Read(ctx, q, false)
	if err != nil {
		return err
	}
	var it chunkenc.Iterator
	var buf []store.ImportSample
	for set.Next() {
		var wrong, err error
		it, buf, wrong, err = sendSeries(ctx, to, set.At(), it, buf)
		if wrong != nil {
			sum.Note(fmt.Sprintf("%s to %s", stamp(from), stamp(end)), wrong)
			it = nil
		}
		if err != nil {
			return &sinkError{err}
		}
	}
	return set.Err()
}

func stamp(t int64) string { return time.UnixMilli(t).UTC().Format(time.RFC3339) }
