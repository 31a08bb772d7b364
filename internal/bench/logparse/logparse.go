// Package logparse measures what it costs to mine the template of a log line.
//
// It exists so that a change to the miner can be judged by its speed: lines a
// second of processor time on one core, allocations a line, and what a flood of
// lines that are all unlike costs and holds. Lines are made up from a seed, or
// read from a file that the user has. [Run] is used by one goroutine, which it
// ties to its thread.
package logparse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"

	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Options say what is measured. A zero field means the value in brackets.
type Options struct {
	File   string // lines instead of those that are made up
	Lines  int    // measured [2,000,000]
	Rounds int    // of which the best counts [5]
	Flood  int    // lines that are all unlike [300,000]
	Seed   uint64
	// Progress is told which part of the work is done.
	Progress func(share float64)
}

// Report is the result of a run.
type Report struct {
	Bytes           float64 `json:"bytes_per_line"`
	Templates       int     `json:"templates"`
	LinesPerCPU     float64 `json:"lines_per_cpu_second"`
	WorstPerCPU     float64 `json:"lines_per_cpu_second_worst_round"`
	Allocs          float64 `json:"allocs_per_line"`
	MegabytesPerCPU float64 `json:"megabytes_per_cpu_second"`
	FloodPerCPU     float64 `json:"flood_lines_per_cpu_second"`
	FloodBytes      int     `json:"flood_state_bytes"` // heap that a service holds afterwards
	FloodTemplates  int     `json:"flood_templates"`
}

// Run measures.
func Run(ctx context.Context, o Options) (Report, error) {
	defaults(&o)
	lines, err := load(o)
	if err != nil {
		return Report{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var rep Report
	total := 0
	for _, l := range lines {
		total += len(l)
	}
	rep.Bytes = float64(total) / float64(len(lines))
	entity := telemetry.Entity{Kind: telemetry.KindService, Name: "bench"}
	m := logmine.New(logmine.Config{})
	rec := telemetry.LogRecord{Entity: entity, Severity: telemetry.SeverityInfo}
	mine := func(n int) {
		for i := range n {
			rec.Body, rec.Time = lines[i%len(lines)], int64(i+1)
			m.Add(&rec)
		}
	}
	mine(3 * len(lines)) // the templates are known
	rep.WorstPerCPU = 1e300
	for round := range o.Rounds {
		if err := ctx.Err(); err != nil {
			return rep, fmt.Errorf("measure log mining: %w", err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := threadTime()
		mine(o.Lines)
		cpu := float64(threadTime()-start) / 1e9
		runtime.ReadMemStats(&after)
		speed := float64(o.Lines) / max(cpu, 1e-9)
		rep.LinesPerCPU, rep.WorstPerCPU = max(rep.LinesPerCPU, speed), min(rep.WorstPerCPU, speed)
		rep.Allocs = max(rep.Allocs, float64(after.Mallocs-before.Mallocs)/float64(o.Lines))
		o.Progress(float64(round+1) / float64(o.Rounds+1))
	}
	rep.MegabytesPerCPU = rep.LinesPerCPU * rep.Bytes / 1e6
	rep.Templates = len(m.Templates(entity))
	flood(&rep, o)
	o.Progress(1)
	return rep, nil
}

func defaults(o *Options) {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Lines, 2_000_000)
	def(&o.Rounds, 5)
	def(&o.Flood, 300_000)
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
}

// load reads or makes the lines.
func load(o Options) ([]string, error) {
	if o.File == "" {
		return made(rand.New(rand.NewPCG(o.Seed, 1)), 20_000), nil
	}
	f, err := os.Open(o.File)
	if err != nil {
		return nil, fmt.Errorf("open lines: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	var lines []string
	r := logread.NewLines(f, 0)
	for {
		line, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if line.Text != "" {
			lines = append(lines, line.Text)
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s holds no lines", o.File)
	}
	return lines, nil
}

// words are what made-up messages consist of.
const words = "order accepted payment refused cart queue worker started stopped connection closed by peer while waiting for reply from shard replica " +
	"block received replicated terminating request handler finished with status user session expired cache miss invalidating entry of region " +
	"scheduler assigned task to executor retry attempt backing off lock acquired released transaction committed rolled back after timeout reading"

// made gives n lines of 100 to 200 bytes from 120 messages with numbers,
// addresses, paths, identifiers and pairs.
func made(rng *rand.Rand, n int) []string {
	vocabulary := strings.Fields(words)
	messages := make([]string, 120)
	for i := range messages {
		var b strings.Builder
		for b.Len() < 85+rng.IntN(50) {
			b.WriteString(vocabulary[rng.IntN(len(vocabulary))])
			b.WriteString([]string{" ", " ", " ", " ", " #N ", " #A ", " #P ", " id=#I ", ": ", ", "}[rng.IntN(10)])
		}
		messages[i] = fmt.Sprintf("M%c%c %s", 'a'+i/26, 'a'+i%26, strings.TrimSpace(b.String()))
	}
	lines := make([]string, 0, n)
	for len(lines) < n {
		line := messages[min(int(rng.ExpFloat64()*20), len(messages)-1)]
		for strings.Contains(line, "#") {
			line = strings.Replace(line, "#N", fmt.Sprint(rng.IntN(100_000)), 1)
			line = strings.Replace(line, "#A", fmt.Sprintf("10.%d.%d.%d:%d", rng.IntN(256), rng.IntN(256), rng.IntN(256), 1024+rng.IntN(60_000)), 1)
			line = strings.Replace(line, "#P", fmt.Sprintf("/srv/data/%d/part-%05d", rng.IntN(100), rng.IntN(100_000)), 1)
			line = strings.Replace(line, "#I", fmt.Sprintf("%016x", rng.Uint64()), 1)
		}
		lines = append(lines, line[:min(len(line), 200)])
	}
	return lines
}

// flood mines lines that are all unlike: 5 to 40 random words each, with random
// signs between them.
func flood(rep *Report, o Options) {
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	lines := make([]string, o.Flood)
	for i := range lines {
		var b strings.Builder
		for range 5 + rng.IntN(36) {
			for range 3 + rng.IntN(8) {
				b.WriteByte(byte('a' + rng.IntN(26)))
			}
			b.WriteString([]string{" ", " ", " ", " ", ": ", ", ", "; ", " (", ") ", " | "}[rng.IntN(10)])
		}
		lines[i] = b.String()
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	entity := telemetry.Entity{Kind: telemetry.KindService, Name: "flood"}
	m := logmine.New(logmine.Config{})
	rec := telemetry.LogRecord{Entity: entity, Severity: telemetry.SeverityInfo}
	start := threadTime()
	for i, line := range lines {
		rec.Body, rec.Time = line, int64(i+1)
		m.Add(&rec)
	}
	cpu := float64(threadTime()-start) / 1e9
	rep.FloodPerCPU = float64(o.Flood) / max(cpu, 1e-9)
	rep.FloodBytes = int(max(heap(), before) - before)
	rep.FloodTemplates = m.Stats().Templates
	runtime.KeepAlive(lines)
	runtime.KeepAlive(m)
}

// Print writes the report as a table.
func (r Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `bytes a line                      %.0f
templates                         %d
lines per CPU-second              %.2f million (slowest round %.2f), %.0f MB
allocations a line                %.4f
flood of new patterns             %.0f lines per CPU-second
memory of a service in a flood    %.1f MiB, %d templates
`, r.Bytes, r.Templates, r.LinesPerCPU/1e6, r.WorstPerCPU/1e6, r.MegabytesPerCPU, r.Allocs, r.FloodPerCPU, float64(r.FloodBytes)/(1<<20), r.FloodTemplates)
	return err
}
