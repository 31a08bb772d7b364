package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
)

const (
	maxCustomSeries = 500             // results of one custom metric
	customBudget    = 2 * time.Second // of one tick, after which further metrics wait for the next
	logLag          = 10_000          // ms that log records may be late and still be counted
	maxSkip         = 16              // intervals that a failing metric is left out for
	zeroFor         = 24 * 3600_000   // ms that a group of log records is counted as 0 before it is forgotten
	countField      = "norn_count"
)

// CustomState is how the evaluation of one custom metric goes.
type CustomState struct {
	Name     string
	Series   int    // of the last evaluation
	LastRun  int64  // Unix ms of the tick's clock, 0 before the first
	TookMS   int64  // the last evaluation
	Runs     uint64 // evaluations
	Errors   uint64 // of them that failed
	Error    string // of the last evaluation, "" when it went well
	NextTime int64  // Unix ms
}

// customMetrics evaluates the custom metrics when they are due. Tick's lock
// guards it, but for what others look at.
type customMetrics struct {
	of   *rules.Set // whose metrics these are
	list []*customMetric
	turn int // where the next tick begins, so that nobody starves

	mu     sync.Mutex
	states []CustomState
}

type customMetric struct {
	*rules.Custom
	state  CustomState
	failed int                 // times in a row
	groups map[string]logGroup // of log records, by their labels
}

type logGroup struct {
	labels labels.Labels
	seen   int64 // Unix ms of the last count above 0
}

// CustomMetrics tells how the evaluation of the custom metrics goes.
func (p *Pipeline) CustomMetrics() []CustomState {
	p.custom.mu.Lock()
	defer p.custom.mu.Unlock()
	return append([]CustomState{}, p.custom.states...)
}

// evaluate computes the custom metrics that are due at now (Unix ms) and
// appends their results as samples of series.
func (p *Pipeline) evaluate(ctx context.Context, now int64) error {
	c := &p.custom
	if set := p.wishes.now.Load(); set != c.of {
		c.adopt(set, now)
	}
	if len(c.list) == 0 {
		return nil
	}
	began := time.Now()
	app := p.st.Metrics.AppenderV2(ctx)
	for i := range c.list {
		m := c.list[(c.turn+i)%len(c.list)]
		if m.state.NextTime > now {
			continue
		}
		if !p.cfg.DataClock && time.Since(began) > customBudget {
			c.turn = (c.turn + i) % len(c.list)
			break
		}
		p.run(ctx, m, now, app)
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("cannot store custom metrics: %w", err)
	}
	c.publish()
	return nil
}

// adopt takes over the metrics of another set; those that have not changed
// keep their state.
func (c *customMetrics) adopt(set *rules.Set, now int64) {
	old := map[string]*customMetric{}
	for _, m := range c.list {
		old[m.Name] = m
	}
	c.of, c.list, c.turn = set, nil, 0
	for _, x := range set.Custom() {
		m := old[x.Name]
		if m == nil || m.Expr != x.Expr || m.Logs != x.Logs || m.Every != x.Every || strings.Join(m.By, ",") != strings.Join(x.By, ",") {
			m = &customMetric{state: CustomState{Name: x.Name, NextTime: now - now%x.Every}, groups: map[string]logGroup{}}
		}
		m.Custom = x
		c.list = append(c.list, m)
	}
	c.publish()
}

func (c *customMetrics) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states = c.states[:0]
	for _, m := range c.list {
		c.states = append(c.states, m.state)
	}
}

// run evaluates one metric for the newest moment of its interval.
func (p *Pipeline) run(ctx context.Context, m *customMetric, now int64, app storage.AppenderV2) {
	began := time.Now()
	at := now - now%m.Every
	limited, cancel := context.WithTimeout(ctx, m.Patience)
	defer cancel()
	var n int
	var err error
	if m.Logs != "" {
		n, err = p.countLogs(limited, m, at, app)
	} else {
		n, err = p.query(limited, m, at, app)
	}
	if errors.Is(limited.Err(), context.DeadlineExceeded) && err != nil {
		err = fmt.Errorf("took longer than %s", m.Patience)
	}
	s := &m.state
	s.Runs, s.LastRun, s.TookMS, s.Series, s.Error = s.Runs+1, now, time.Since(began).Milliseconds(), n, ""
	s.NextTime = at + m.Every
	if err == nil {
		m.failed = 0
		return
	}
	s.Errors, s.Error = s.Errors+1, err.Error()
	p.met.customErrors.WithLabelValues(m.Name).Inc()
	if m.failed++; m.failed == 1 {
		p.log.Warn("custom metric cannot be computed", "name", m.Name, "err", err)
	}
	s.NextTime = at + m.Every*int64(min(maxSkip, 1<<min(m.failed-1, 10)))
}

// query evaluates PromQL at one moment.
func (p *Pipeline) query(ctx context.Context, m *customMetric, at int64, app storage.AppenderV2) (int, error) {
	found, err := p.st.Metrics.QueryRange(ctx, m.Expr, at, at, 1000)
	if err != nil {
		return 0, err
	}
	if len(found) > maxCustomSeries {
		return 0, fmt.Errorf("gives %d series, at most %d are taken", len(found), maxCustomSeries)
	}
	n := 0
	var errs error
	for _, d := range found {
		if len(d.Samples) == 0 {
			continue
		}
		v := d.Samples[len(d.Samples)-1].V
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		ls := labels.NewBuilder(d.Labels).Set(labels.MetricName, m.Name).Labels()
		if err := m.append(app, ls, at, v); err != nil {
			errs = fmt.Errorf("%s: %w", ls, err)
			continue
		}
		n++
	}
	return n, errs
}

func (m *customMetric) append(app storage.AppenderV2, ls labels.Labels, t int64, v float64) error {
	unit := m.Unit
	if unit == "" && m.Logs != "" {
		unit = "{line}/s"
	}
	_, err := app.Append(0, ls, 0, t, v, nil, nil, storage.AOptions{Metadata: metadata.Metadata{Type: model.MetricTypeGauge, Unit: unit}})
	return err
}

// countLogs counts the matching records of the interval that ended logLag
// before the moment. Groups that were there before and are not now count 0.
func (p *Pipeline) countLogs(ctx context.Context, m *customMetric, at int64, app storage.AppenderV2) (int, error) {
	if p.cfg.DataClock {
		p.st.Logs.FlushLogs()
	}
	to := at - logLag
	counts, err := p.countBy(ctx, m, to)
	if err != nil {
		return 0, err
	}
	for key, g := range m.groups {
		if _, ok := counts[key]; !ok && to-g.seen > zeroFor {
			delete(m.groups, key)
		}
	}
	if len(m.groups) > maxCustomSeries {
		n := len(m.groups)
		clear(m.groups)
		return 0, fmt.Errorf("gives %d series, at most %d are taken", n, maxCustomSeries)
	}
	var errs error
	for key, g := range m.groups {
		if err := m.append(app, g.labels, to, counts[key]*1000/float64(m.Every)); err != nil {
			errs = fmt.Errorf("%s: %w", g.labels, err)
		}
	}
	return len(m.groups), errs
}

// countBy gives the number of records by group in the interval before to (Unix
// ms), and notes the groups.
func (p *Pipeline) countBy(ctx context.Context, m *customMetric, to int64) (map[string]float64, error) {
	counts := map[string]float64{}
	var bad error
	err := p.st.Logs.SearchLogs(ctx, store.LogQuery{Query: logsQuery(m.CustomMetric), From: (to - m.Every) * 1e6, To: to*1e6 - 1, Limit: maxCustomSeries + 1}, func(row store.Row) bool {
		n, err := strconv.ParseFloat(row[countField], 64)
		if err != nil {
			bad = fmt.Errorf("the query's result has no count: %v", row)
			return false
		}
		b := labels.NewBuilder(labels.FromStrings(labels.MetricName, m.Name))
		for _, f := range m.By {
			if v := row[f]; v != "" {
				b.Set(labelName(f), v)
			}
		}
		ls := b.Labels()
		key := ls.String()
		counts[key] += n
		m.groups[key] = logGroup{ls, to}
		return len(counts) <= maxCustomSeries
	})
	if err == nil {
		err = bad
	}
	if err == nil && len(m.By) == 0 && len(counts) == 0 {
		ls := labels.FromStrings(labels.MetricName, m.Name)
		m.groups[ls.String()] = logGroup{ls, to}
	}
	return counts, err
}

// logsQuery counts what a custom metric's LogsQL matches.
func logsQuery(m rules.CustomMetric) string {
	if len(m.By) == 0 {
		return m.Logs + " | stats count() as " + countField
	}
	by := make([]string, len(m.By))
	for i, f := range m.By {
		by[i] = strconv.Quote(f)
	}
	return m.Logs + " | stats by (" + strings.Join(by, ", ") + ") count() as " + countField
}

// labelName makes a label's name of a field's.
func labelName(field string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, field)
}
