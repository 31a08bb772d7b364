package past

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gogo/protobuf/proto"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/norn-aiops/norn/internal/store"
)

// ContentType is that of a stream of chunks.
const ContentType = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"

// samplesInChunk is how many samples are encoded together, as Prometheus does.
const samplesInChunk = 120

// Event is one line of the answer to an import: how far learning is, or at last
// the summary.
type Event struct {
	Learning *float64 `json:"learning,omitempty"` // share
	Summary  *Summary `json:"summary,omitempty"`
}

// Client carries series to a running Norn in one request. Make it with
// [Connect], and end it with Finish or Abort. It is a [Sink].
type Client struct {
	pipe   *io.PipeWriter
	buf    *bufio.Writer
	frames *remote.ChunkedWriter
	answer chan answer
	failed *answer
}

type answer struct {
	sum *Summary
	err error
}

// nothing satisfies http.Flusher.
type nothing struct{}

func (nothing) Flush() {}

// Connect begins an import into the server at base. source names it in the
// server's list of imports. learning is told how far the server's models are.
func Connect(ctx context.Context, base, token, source string, learning Progress) (*Client, error) {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	r, w := io.Pipe()
	to := strings.TrimRight(base, "/") + "/api/v1/import/history?source=" + url.QueryEscape(source)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, r)
	if err != nil {
		return nil, fmt.Errorf("%q is not a server's address: %w", base, err)
	}
	req.Header.Set("Content-Type", ContentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &Client{pipe: w, buf: bufio.NewWriterSize(w, 1<<18), answer: make(chan answer, 1)}
	c.frames = remote.NewChunkedWriter(c.buf, nothing{})
	go func() {
		a := ask(req, learning)
		if a.err == nil && a.sum == nil {
			a.err = errors.New("the server's answer broke off")
		}
		c.answer <- a
		_ = r.CloseWithError(io.ErrClosedPipe) // whoever still sends is told
	}()
	return c, nil
}

func ask(req *http.Request, learning Progress) (out answer) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{err: fmt.Errorf("no Norn takes the import at %s: %w", req.URL.Host, err)}
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || resp.StatusCode != http.StatusOK && e.Summary == nil {
			return answer{err: fmt.Errorf("the server answered %s: %.300s", resp.Status, lines.Text())}
		}
		if e.Learning != nil {
			learning(*e.Learning)
		}
		if e.Summary != nil {
			out.sum = e.Summary
			if e.Summary.Error != "" {
				out.err = errors.New(e.Summary.Error)
			}
		}
	}
	if out.sum == nil && out.err == nil && resp.StatusCode != http.StatusOK {
		out.err = fmt.Errorf("the server answered %s", resp.Status)
	}
	return out
}

// Add sends samples of one series.
func (c *Client) Add(_ context.Context, ls labels.Labels, xs []store.ImportSample) error {
	if c.failed != nil {
		return c.failed.err
	}
	msg := prompb.ChunkedReadResponse{ChunkedSeries: []*prompb.ChunkedSeries{{Labels: prompb.FromLabels(ls, nil)}}}
	for len(xs) > 0 {
		chunk, n, err := encodeChunk(xs)
		if err != nil {
			return err
		}
		msg.ChunkedSeries[0].Chunks = append(msg.ChunkedSeries[0].Chunks, chunk)
		xs = xs[n:]
	}
	raw, err := proto.Marshal(&msg)
	if err != nil {
		return fmt.Errorf("cannot encode series %.200s: %w", ls, err)
	}
	if _, err := c.frames.Write(raw); err != nil {
		return c.lost(err)
	}
	return nil
}

// lost gives the reason for which nobody reads any more.
func (c *Client) lost(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		a := <-c.answer
		if a.err == nil {
			a.err = errors.New("the server ended the import")
		}
		c.failed = &a
		return a.err
	}
	return fmt.Errorf("cannot send to the server: %w", err)
}

// encodeChunk encodes samples of one kind from the beginning of xs.
func encodeChunk(xs []store.ImportSample) (out prompb.Chunk, n int, err error) {
	out.MinTimeMs = xs[0].T
	if xs[0].H != nil || xs[0].FH != nil {
		return encodeHistogram(xs[0])
	}
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	if err != nil {
		return out, 0, fmt.Errorf("cannot encode samples: %w", err)
	}
	for ; n < min(len(xs), samplesInChunk) && xs[n].H == nil && xs[n].FH == nil; n++ {
		app.Append(0, xs[n].T, xs[n].V)
		out.MinTimeMs, out.MaxTimeMs = min(out.MinTimeMs, xs[n].T), max(out.MaxTimeMs, xs[n].T)
	}
	out.Type, out.Data = prompb.Chunk_XOR, c.Bytes()
	return out, n, nil
}

// encodeHistogram encodes one native histogram in a chunk of its own: the next
// may have other buckets.
func encodeHistogram(x store.ImportSample) (out prompb.Chunk, n int, err error) {
	out.MinTimeMs, out.MaxTimeMs = x.T, x.T
	var c chunkenc.Chunk = chunkenc.NewHistogramChunk()
	out.Type = prompb.Chunk_HISTOGRAM
	if x.FH != nil {
		c, out.Type = chunkenc.NewFloatHistogramChunk(), prompb.Chunk_FLOAT_HISTOGRAM
	}
	app, err := c.Appender()
	if err != nil {
		return out, 0, fmt.Errorf("cannot encode a histogram: %w", err)
	}
	if x.FH != nil {
		_, _, _, err = app.AppendFloatHistogram(nil, 0, x.T, x.FH, true)
	} else {
		_, _, _, err = app.AppendHistogram(nil, 0, x.T, x.H, true)
	}
	if err != nil {
		return out, 0, fmt.Errorf("cannot encode a histogram: %w", err)
	}
	out.Data = c.Bytes()
	return out, 1, nil
}

// Finish ends the stream and waits until the server has stored it and learned.
func (c *Client) Finish() (*Summary, error) {
	if c.failed != nil {
		return c.failed.sum, c.failed.err
	}
	err := c.buf.Flush()
	_ = c.pipe.Close() // never fails
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return nil, fmt.Errorf("cannot send to the server: %w", err)
	}
	a := <-c.answer
	return a.sum, a.err
}

// Abort breaks the stream off. What the server has had until then is kept.
func (c *Client) Abort(err error) { _ = c.pipe.CloseWithError(err) }

// Read takes frames of chunks from r until its end, one series after another.
// An error of the stream itself ends it; one of a chunk is noted. before is
// called before each frame.
func Read(ctx context.Context, r io.Reader, to Sink, sum *Summary, before func()) error {
	frames := remote.NewChunkedReader(r, frameLimit, nil)
	b := labels.NewScratchBuilder(16)
	var buf []store.ImportSample
	for {
		before()
		var msg prompb.ChunkedReadResponse
		err := frames.NextProto(&msg)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the stream broke off or is damaged: %w", err)
		}
		for _, s := range msg.ChunkedSeries {
			ls := s.ToLabels(&b, nil)
			var wrong error
			if buf, wrong = decode(s.Chunks, buf[:0]); wrong != nil {
				sum.Note(fmt.Sprintf("series %.200s", ls), wrong)
			}
			if err := to.Add(ctx, ls, buf); err != nil {
				return err
			}
		}
	}
}

// decode reads chunks; samples before damage are kept.
func decode(chunks []prompb.Chunk, buf []store.ImportSample) (_ []store.ImportSample, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a chunk is damaged: %v", r)
		}
	}()
	kinds := map[prompb.Chunk_Encoding]chunkenc.Encoding{
		prompb.Chunk_XOR: chunkenc.EncXOR, prompb.Chunk_HISTOGRAM: chunkenc.EncHistogram, prompb.Chunk_FLOAT_HISTOGRAM: chunkenc.EncFloatHistogram,
	}
	for i := range chunks {
		kind, ok := kinds[chunks[i].Type]
		if !ok || len(chunks[i].Data) < 2 {
			err = fmt.Errorf("a chunk of type %s with %d bytes cannot be read", chunks[i].Type, len(chunks[i].Data))
			continue
		}
		c, bad := chunkenc.FromData(kind, chunks[i].Data)
		if bad != nil {
			err = bad
			continue
		}
		it := c.Iterator(nil)
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			if x, ok := sampleOf(it, vt); ok {
				buf = append(buf, x)
			}
		}
		if bad := it.Err(); bad != nil {
			err = bad
		}
	}
	return buf, err
}
