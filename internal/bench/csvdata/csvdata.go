// Package csvdata reads time series from CSV files for the benchmarks.
//
// It exists so that every benchmark reads timestamps, values and compressed
// files in one way. It does not resample, fill or judge. Its functions keep no
// state and are safe for concurrent use. The main type is [Series].
package csvdata

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// Series is one univariate series in file order.
type Series struct {
	T []int64   // Unix seconds
	V []float64 // same length as T
}

var layouts = [...]string{"2006-01-02 15:04:05", "2006-01-02 15:04:05.000000", time.RFC3339Nano, "2006-01-02T15:04:05"}

// ParseTime reads a civil time as UTC, or Unix seconds, to Unix seconds.
func ParseTime(s string) (int64, error) {
	s = strings.TrimSpace(s)
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, time.UTC); err == nil {
			return t.Unix(), nil
		}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > -1e11 && f < 1e11 {
		return int64(f), nil
	}
	return 0, fmt.Errorf("cannot read %q as a time", s)
}

// Open opens a file for reading and undoes gzip when the name ends in .gz.
func Open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(path, ".gz") {
		return f, nil
	}
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read gzip %s: %w", path, err)
	}
	return &gz{Reader: z, file: f}, nil
}

type gz struct {
	*gzip.Reader
	file *os.File
}

func (g *gz) Close() error { return errors.Join(g.Reader.Close(), g.file.Close()) }

// Rows calls row with the fields of every line after the header line. The
// slice is reused between calls. line counts from 1 with the header as 1.
func Rows(r io.Reader, row func(line int, fields []string) error) error {
	return Table(r, func(line int, fields []string) error {
		if line == 1 {
			return nil
		}
		return row(line, fields)
	})
}

// Table calls row with the fields of every line, the header (line 1) too. They
// are parted by commas, or by semicolons where the header has more of these.
// The slice is reused between calls.
func Table(r io.Reader, row func(line int, fields []string) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	head, _ := in.Peek(1 << 12) // a short file gives what it has
	head, _, _ = bytes.Cut(head, []byte("\n"))
	c := csv.NewReader(in)
	c.ReuseRecord = true
	if bytes.Count(head, []byte(";")) > bytes.Count(head, []byte(",")) {
		c.Comma = ';'
	}
	for line := 1; ; line++ {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := row(line, rec); err != nil {
			return err
		}
	}
}

// ReadSeries reads a "timestamp,value" file with a header line.
func ReadSeries(path string) (Series, error) {
	var s Series
	f, err := Open(path)
	if err != nil {
		return s, fmt.Errorf("open series: %w", err)
	}
	defer f.Close()
	err = Rows(f, func(line int, rec []string) error {
		if len(rec) < 2 {
			return fmt.Errorf("line %d: need timestamp,value", line)
		}
		t, err := ParseTime(rec[0])
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rec[1]), 64)
		if err != nil {
			return fmt.Errorf("line %d: cannot read %q as a number", line, rec[1])
		}
		s.T, s.V = append(s.T, t), append(s.V, v)
		return nil
	})
	if err != nil {
		return Series{}, fmt.Errorf("read series %s: %w", path, err)
	}
	return s, nil
}
