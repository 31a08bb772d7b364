package loghub

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/norn-aiops/norn/internal/logread"
)

// headerSample is how many lines the header is learned from.
const headerSample = 300

// scoreRaw scores a system on the lines of its log at path.
func scoreRaw(name, path string, lines []Line) (System, error) {
	if err := readRaw(path, lines); err != nil {
		return System{}, err
	}
	sample := make([]string, min(len(lines), headerSample))
	for i := range sample {
		sample[i] = lines[i].Raw
	}
	head := logread.LearnHeader(sample, logread.Clock{}, 0)
	exact := 0
	for i := range lines {
		truth := strings.TrimSpace(lines[i].Content)
		lines[i].Content, _ = head.Cut(lines[i].Raw)
		if strings.TrimSpace(lines[i].Content) == truth {
			exact++
		}
	}
	s := Score(name, lines)
	s.Header = float64(exact) / float64(max(len(lines), 1))
	return s, nil
}

// readRaw reads the whole lines beside their labels.
func readRaw(path string, lines []Line) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open raw lines: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	r := logread.NewLines(f, 0)
	n := 0
	for {
		line, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if n < len(lines) {
			lines[n].Raw = line.Text
		}
		n++
	}
	if n != len(lines) {
		return fmt.Errorf("%s has %d lines, its labels %d", path, n, len(lines))
	}
	return nil
}
