//go:build ignore

// Command tally reads what `go test -json` writes, from standard input, and
// prints what a person wants to see: a line for every package, the output of
// what failed, and the counts. It exists because go test by itself counts
// nothing. With -o FILE it appends "name passed failed skipped" to FILE.
// It exits with 1 when something failed or no test ran.
//
//	go test -json ./... | go run test/tally.go -name go -o test/out/counts
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of go test -json (see "go doc test2json").
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
	Elapsed     float64
}

type tally struct {
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by package and test
	failures                map[string]int              // failed tests by package
	out                     io.Writer
}

func main() {
	name := flag.String("name", "go", "name of the suite in the counts")
	file := flag.String("o", "", "file to append the counts to")
	flag.Parse()
	t := tally{output: map[string]*strings.Builder{}, failures: map[string]int{}, out: os.Stdout}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	fmt.Printf("%s tests: %d ok, %d not, %d left out\n", *name, t.passed, t.failed, t.skipped)
	if *file != "" {
		if err := t.append(*file, *name); err != nil {
			fmt.Fprintln(os.Stderr, "tally:", err)
			os.Exit(1)
		}
	}
	if t.failed > 0 || t.passed == 0 {
		os.Exit(1)
	}
}

func (t *tally) append(file, name string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("keep the counts: %w", err)
	}
	if _, err := fmt.Fprintln(f, name, t.passed, t.failed, t.skipped); err != nil {
		return fmt.Errorf("keep the counts: %w", err)
	}
	return f.Close()
}

func (t *tally) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				t.event(e)
			} else {
				fmt.Fprintf(t.out, "%s", line) // not of the format: show it
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

func (t *tally) event(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		b := t.output[key]
		if b == nil {
			b = &strings.Builder{}
			t.output[key] = b
		}
		b.WriteString(e.Output)
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e, key)
		} else {
			t.endTest(e, key)
		}
		delete(t.output, key)
	}
}

func (t *tally) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		t.show(key)
	case "fail":
		t.failed++
		t.failures[e.Package]++
		t.show(key)
	}
}

func (t *tally) endPackage(e event, key string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.out, "ok  \t%s\t%.3fs\n", e.Package, e.Elapsed)
	case "skip":
		fmt.Fprintf(t.out, "?   \t%s\t[no test files]\n", e.Package)
	case "fail":
		if t.failures[e.Package] == 0 { // did not build, or died outside of a test
			t.failed++
		}
		t.showAll(e.Package)
		fmt.Fprintf(t.out, "FAIL\t%s\t%.3fs\n", e.Package, e.Elapsed)
	}
}

func (t *tally) show(key string) {
	if b := t.output[key]; b != nil {
		fmt.Fprint(t.out, b.String())
	}
}

// showAll shows what is left of a package that failed: its own output and
// that of tests that never ended.
func (t *tally) showAll(pkg string) {
	for key, b := range t.output {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Fprint(t.out, b.String())
			delete(t.output, key)
		}
	}
}
