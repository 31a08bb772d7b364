package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// terminal reports whether f is shown to a person.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// phases shows a bar for each phase on a terminal, a line for each phase
// elsewhere.
type phases struct {
	mu    sync.Mutex
	out   *os.File
	bar   *progressbar.ProgressBar
	phase string
}

func newPhases(out *os.File) *phases { return &phases{out: out} }

// set shows that a phase is done to the given fraction.
func (p *phases) set(phase string, fraction float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if phase != p.phase {
		p.finish()
		p.phase = phase
		if terminal(p.out) {
			p.bar = newBar(p.out, 1000, phase)
		} else {
			fmt.Fprintf(p.out, "%s %s\n", time.Now().Format("15:04:05"), phase)
		}
	}
	if p.bar != nil {
		_ = p.bar.Set(int(1000 * min(1, fraction)))
		if fraction >= 1 {
			p.finish()
		}
	}
}

func (p *phases) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
		fmt.Fprintln(p.out)
		p.bar = nil
	}
}

func (p *phases) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
}

func newBar(out io.Writer, total int, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
}

// steps gives a progress function for a benchmark: a bar on a terminal,
// nothing elsewhere.
func steps(what string) func(done, total int) {
	if !terminal(os.Stderr) {
		return func(int, int) {}
	}
	var bar *progressbar.ProgressBar
	return func(done, total int) {
		if bar == nil {
			bar = newBar(os.Stderr, total, what)
		}
		_ = bar.Set(done)
	}
}

func hms(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04:05") }
