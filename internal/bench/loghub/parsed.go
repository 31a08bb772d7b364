package loghub

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Parsed is what another program found: below Dir, under each
// *_structured.csv's base name, a CSV with a header and one line a log line:
// group, template.
type Parsed struct{ Name, Dir string }

// Other is how another program did.
type Other struct {
	Name    string   `json:"name"`
	Systems []System `json:"systems"`
	Mean    Scores   `json:"mean"`
}

// Compare scores other programs on the systems below dir by the rules of [Run].
func Compare(ctx context.Context, dir string, parsed []Parsed) ([]Other, error) {
	files, err := find(dir)
	if err != nil {
		return nil, err
	}
	var out []Other
	for _, p := range parsed {
		o := Other{Name: p.Name}
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("score parsed lines: %w", err)
			}
			lines, err := readFile(f)
			if err != nil {
				return nil, err
			}
			s, err := scoreParsed(systemName(f), filepath.Join(p.Dir, filepath.Base(f)), lines)
			if err != nil {
				return nil, fmt.Errorf("score parsed lines of %s: %w", p.Name, err)
			}
			o.Systems = append(o.Systems, s)
		}
		o.Mean = meanOf(o.Systems)
		out = append(out, o)
	}
	return out, nil
}

func scoreParsed(name, path string, lines []Line) (System, error) {
	in, err := os.Open(path)
	if err != nil {
		return System{}, err
	}
	defer func() { _ = in.Close() }() // only read
	r := csv.NewReader(in)
	r.FieldsPerRecord = 2
	var found, predicted, truth []string
	for n := 0; ; n++ {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return System{}, fmt.Errorf("%s: %w", path, err)
		}
		if n > 0 {
			found, predicted = append(found, rec[0]), append(predicted, Normalize(rec[1]))
		}
	}
	if len(found) != len(lines) {
		return System{}, fmt.Errorf("%s holds %d lines, the log has %d", path, len(found), len(lines))
	}
	for i := range lines {
		truth = append(truth, Normalize(lines[i].Template))
	}
	return compare(name, lines, found, predicted, truth), nil
}

// speed is how many lines of the systems are mined in a second of processor
// time, each system from nothing, over again for half a second at least.
func speed(systems [][]Line) float64 {
	runtime.GC()
	start, done := cpuSeconds(), 0
	for spent := 0.; spent < .5; spent = cpuSeconds() - start {
		for i, lines := range systems {
			m := logmine.New(logmine.Config{})
			rec := telemetry.LogRecord{Entity: telemetry.Entity{Kind: telemetry.KindService, Name: fmt.Sprint(i)}}
			for k := range lines {
				rec.Body, rec.Time = lines[k].Content, int64(k+1)
				m.Add(&rec)
			}
			done += len(lines)
		}
		if done == 0 {
			return 0
		}
	}
	return float64(done) / (cpuSeconds() - start)
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds() float64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return float64(ru.Utime.Sec+ru.Stime.Sec) + float64(ru.Utime.Usec+ru.Stime.Usec)/1e6
}
