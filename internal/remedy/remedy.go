// Package remedy knows ways out of an incident and the rules by which one may
// be taken.
//
// It exists so that what Norn recommends, what it allows and what the ledger
// proves can be tested without a machine to break: it reads a judgement and
// the embedded library of runbooks, ranks what fits, checks the inputs of
// actions, and decides by policy. It runs nothing, stores nothing and knows no
// clock; runners and their durable runs live above it.
//
// A [Library] is immutable and safe for concurrent use. Main types: [Library],
// [Action], [Policy].
package remedy

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

//go:embed library/*.yaml
var library embed.FS

// Runbook is one way out of one kind of fault, as data.
type Runbook struct {
	ID     string   `yaml:"id"`
	Title  string   `yaml:"title"` // may hold placeholders, as Why, Steps and Action may
	Fault  string   `yaml:"fault"`
	Match  Match    `yaml:"match"`
	Steps  []string `yaml:"steps"`
	Effect string   `yaml:"effect"`
	Risk   string   `yaml:"risk"` // low, medium, high
	Danger string   `yaml:"danger"`
	Verify string   `yaml:"verify"`
	Does   Does     `yaml:"does"`
	// Fallback marks one that fits almost everything: it stands behind those that
	// know what they are for.
	Fallback bool `yaml:"fallback"`
}

// Does names the action that carries a runbook out where one of that name is
// configured, with its inputs.
type Does struct {
	Action string            `yaml:"action"`
	Inputs map[string]string `yaml:"inputs"`
}

// Match says which judgements a runbook is for. Every list is one criterion: an
// empty one says nothing, of the others any member is enough.
type Match struct {
	Need      []string `yaml:"need"`     // criteria without which it does not apply
	Entities  []string `yaml:"entities"` // kinds of the root
	Signals   []string `yaml:"signals"`  // of the root's strongest evidence
	Anomalies []string `yaml:"anomalies"`
	Changes   []string `yaml:"changes"`
	Words     []string `yaml:"words"` // in names of series, log templates, alerts, changes
}

func criteria() []string { return []string{"entities", "signals", "anomalies", "changes", "words"} }

// Library is a set of checked runbooks.
type Library struct {
	books []Runbook
	words map[string]*regexp.Regexp // by runbook
}

// Load reads the embedded library.
func Load() (*Library, error) {
	names, err := fs.Glob(library, "library/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("cannot list the runbooks: %w", err)
	}
	var all []Runbook
	for _, name := range names {
		raw, err := library.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
		books, err := Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, books...)
	}
	return New(all)
}

// Parse reads a YAML list of runbooks; unknown keys are errors.
func Parse(raw []byte) ([]Runbook, error) {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	var out []Runbook
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("cannot understand the runbooks: %w", err)
	}
	return out, nil
}

// New checks runbooks and makes a library of them. The error lists all faults.
func New(books []Runbook) (*Library, error) {
	l := &Library{books: books, words: map[string]*regexp.Regexp{}}
	var errs []error
	for i := range books {
		b := &books[i]
		if err := b.check(); err != nil {
			errs = append(errs, fmt.Errorf("runbook %q: %w", b.ID, err))
		}
		if _, taken := l.words[b.ID]; taken {
			errs = append(errs, fmt.Errorf("runbook %q: the id is taken", b.ID))
		}
		l.words[b.ID] = wordPattern(b.Match.Words)
	}
	return l, errors.Join(errs...)
}

// wordPattern finds any of the words as whole words, in any case. "*" at a
// word's end stands for any ending.
func wordPattern(words []string) *regexp.Regexp {
	if len(words) == 0 {
		return nil
	}
	parts := make([]string, len(words))
	for i, w := range words {
		w, open := strings.CutSuffix(w, "*")
		parts[i] = regexp.QuoteMeta(spaced(w)) + map[bool]string{true: `\w*`, false: `\b`}[open]
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(parts, "|") + `)`)
}

// Runbooks returns all runbooks. The caller must not change them.
func (l *Library) Runbooks() []Runbook { return l.books }

// Has reports whether there is a runbook of that id.
func (l *Library) Has(id string) bool {
	_, ok := l.words[id]
	return ok
}

func (b *Runbook) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{2,40}$`).MatchString(b.ID) {
		bad("the id must be lower-case words with hyphens")
	}
	for _, f := range []struct{ name, text string }{{"title", b.Title}, {"fault", b.Fault}, {"effect", b.Effect}, {"danger", b.Danger}, {"verify", b.Verify}} {
		if strings.TrimSpace(f.text) == "" {
			bad("%s is missing", f.name)
		}
	}
	if !slices.Contains([]string{"low", "medium", "high"}, b.Risk) {
		bad("risk %q is not one of low, medium, high", b.Risk)
	}
	if len(b.Steps) < 2 {
		bad("needs at least two steps")
	}
	texts := append([]string{b.Title, b.Effect, b.Danger, b.Verify}, b.Steps...)
	for _, v := range b.Does.Inputs {
		texts = append(texts, v)
	}
	for _, text := range texts {
		for _, p := range placeholder.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(placeholders(), p[1]) {
				bad("unknown placeholder {%s}; there are %s", p[1], strings.Join(placeholders(), ", "))
			}
		}
	}
	errs = append(errs, b.Match.check()...)
	return errors.Join(errs...)
}

func (m *Match) check() []error {
	var errs []error
	within := func(name string, got []string, allowed ...string) {
		for _, g := range got {
			if !slices.Contains(allowed, g) {
				errs = append(errs, fmt.Errorf("match.%s: %q is not one of %s", name, g, strings.Join(allowed, ", ")))
			}
		}
	}
	within("need", m.Need, criteria()...)
	for _, n := range m.Need {
		if len(m.list(n)) == 0 {
			errs = append(errs, fmt.Errorf("match.need names %s, which is empty", n))
		}
	}
	if len(m.Need) == 0 {
		errs = append(errs, errors.New("match.need is empty: it would be recommended for everything"))
	}
	within("entities", m.Entities, texts(telemetry.KindService, telemetry.KindInstance, telemetry.KindHost, telemetry.KindDatabase, telemetry.KindQueue,
		telemetry.KindCache, telemetry.KindFunction, telemetry.KindDevice, telemetry.KindSegment, telemetry.KindExternal, telemetry.KindZone, telemetry.KindApplication)...)
	within("signals", m.Signals, texts(telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalTraffic, telemetry.SignalSaturation,
		telemetry.SignalNetwork, telemetry.SignalLogs, telemetry.SignalUp, telemetry.SignalOther)...)
	within("anomalies", m.Anomalies, texts(ops.AnomalySpike, ops.AnomalyDip, ops.AnomalyLevel, ops.AnomalyShape, ops.AnomalySilence, ops.AnomalyFlat,
		ops.AnomalyNewTemplate, ops.AnomalyLogRate, ops.AnomalyRare, ops.AnomalySeverity, ops.AnomalySequence, ops.AnomalyJoint, ops.AnomalyAlert, ops.AnomalySLOBurn)...)
	within("changes", m.Changes, texts(telemetry.ChangeDeploy, telemetry.ChangeConfig, telemetry.ChangeScale, telemetry.ChangeFlag, telemetry.ChangeEvent)...)
	return errs
}

func (m *Match) list(name string) []string {
	return map[string][]string{"entities": m.Entities, "signals": m.Signals, "anomalies": m.Anomalies, "changes": m.Changes, "words": m.Words}[name]
}

func texts[T ~string](list ...T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}
