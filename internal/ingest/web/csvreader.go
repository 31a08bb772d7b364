package web

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// CSVSample is one value of a CSV file.
type CSVSample struct {
	Line   int // from 1
	T      int64
	V      float64
	Labels labels.Labels
}

// CSV reads the forms of [Handler.ServeMetrics] line by line, for files of any
// size. It belongs to one goroutine.
type CSV struct {
	tab   *table
	r     *bufio.Reader
	line  int
	cells []sample
}

// maxCSVLine is the longest line in bytes.
const maxCSVLine = 1 << 20

// NewCSV reads the header line. A file with a time and a value column alone is
// one series called metric.
func NewCSV(r io.Reader, metric string) (*CSV, error) {
	c := &CSV{r: bufio.NewReaderSize(r, 1<<16)}
	text, err := c.text()
	if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
		return nil, fmt.Errorf("read the header line: %w", err)
	}
	header, err := splitRow(string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	if err != nil {
		return nil, fmt.Errorf("read the header line: %w", err)
	}
	is := func(names []string) func(string) bool {
		return func(c string) bool { return slices.Contains(names, strings.ToLower(c)) }
	}
	if v := slices.IndexFunc(header, is(valueColumns)); v >= 0 && metric != "" && !slices.ContainsFunc(header, is(nameColumns)) {
		header[v] = metric
	}
	c.tab, err = readHeader(header)
	return c, err
}

// Next appends the samples of the next line. The problem is of that line; the
// error is io.EOF at the end, beside the last line's samples.
func (c *CSV) Next(out []CSVSample) ([]CSVSample, *Problem, error) {
	text, err := c.text()
	if errors.Is(err, errLongLine) {
		return out, &Problem{Line: c.line, Reason: "line_too_long", Detail: fmt.Sprintf("longer than %d bytes", maxCSVLine)}, nil
	}
	if len(text) == 0 {
		return out, nil, err
	}
	row, bad := splitRow(string(text))
	if bad == nil && len(row) != len(c.tab.header) {
		bad = fmt.Errorf("%d columns, the header has %d", len(row), len(c.tab.header))
	}
	if bad != nil {
		return out, &Problem{Line: c.line, Reason: "bad_csv", Detail: bad.Error()}, err
	}
	var p *Problem
	c.cells, p = c.tab.cells(row, c.line, c.cells[:0])
	for i := range c.cells {
		s := &c.cells[i]
		out = append(out, CSVSample{s.line, s.t, s.v, s.ls})
	}
	return out, p, err
}

var errLongLine = errors.New("line too long")

// text reads one line without its end.
func (c *CSV) text() ([]byte, error) {
	c.line++
	var long []byte
	for {
		part, err := c.r.ReadSlice('\n')
		if err == nil || errors.Is(err, io.EOF) {
			if len(long)+len(part) > maxCSVLine {
				return nil, errLongLine
			}
			if long != nil {
				part = append(long, part...)
			}
			return bytes.TrimSpace(part), err
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if long = append(long, part...); len(long) > maxCSVLine {
			long = long[:maxCSVLine+1] // go on to the line's end
		}
	}
}
