package report

import (
	"fmt"
	"html/template"
	"io"
	"time"
)

// HTML writes the report as one page that needs nothing else: no script, no
// font, no picture from elsewhere. It prints on A4 and Letter.
func HTML(w io.Writer, r *Report) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"dur": Duration, "date": date, "pct": func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) },
		"num": func(v float64) string { return fmt.Sprintf("%.3g", v) }, "stat": statText, "share": shareText,
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("cannot read the report's template: %w", err)
	}
	if err := t.Execute(w, struct {
		*Report
		Pareto []bar
		Bars   []bar
		Tall   int // of the Pareto
	}{r, pareto(r), history(r), 22*min(len(r.Groups), mostBars) + 4}); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

func date(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02") }

func statText(s Stat) string {
	switch {
	case s.N == 0:
		return "-"
	case s.N < fewestMean:
		return Duration(s.Mean) + " (too few)"
	}
	return fmt.Sprintf("%s (%s to %s)", Duration(s.Mean), Duration(s.Low), Duration(s.High))
}

func shareText(s Share) string {
	if s.Of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %% (%.0f to %.0f, of %d)", 100*s.Value, 100*s.Low, 100*s.High, s.Of)
}

// bar is one rectangle of a drawing, in its units.
type bar struct {
	X, Y, W, H float64
	Name, Text string
	LineX      float64 // of the Pareto's line
	LineY      float64
}

const mostBars = 15

func pareto(r *Report) []bar {
	var out []bar
	groups := r.Groups[:min(len(r.Groups), mostBars)]
	for i, g := range groups {
		most := max(groups[0].Measures.LostHours, 1e-9)
		out = append(out, bar{X: 250, Y: float64(22*i + 4), W: 380 * g.Measures.LostHours / most, H: 14, Name: short(g.Name),
			Text: fmt.Sprintf("%.3g h, %.0f %%, together %.0f %%", g.Measures.LostHours, 100*g.Share, 100*g.Sum), LineX: 250 + 380*g.Sum, LineY: float64(22*i + 11)})
	}
	return out
}

func short(s string) string {
	if r := []rune(s); len(r) > 38 {
		return string(r[:37]) + "…"
	}
	return s
}

func history(r *Report) []bar {
	most := 1
	for _, w := range r.Weeks {
		most = max(most, w.Incidents)
	}
	var out []bar
	for i, w := range r.Weeks {
		step := 860 / float64(len(r.Weeks))
		h := 90 * float64(w.Incidents) / float64(most)
		out = append(out, bar{X: float64(i) * step, Y: 100 - h, W: step * .8, H: h, Text: fmt.Sprintf("week of %s: %d incidents, %.3g h lost", date(w.From), w.Incidents, w.LostHours)})
	}
	return out
}

const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Operations report {{date .From}} to {{date .To}}</title>
<style>
body{font:14px/1.45 system-ui,sans-serif;color:#1c2430;background:#fff;max-width:900px;margin:2rem auto;padding:0 1rem}
h1{font-size:22px}h2{font-size:16px;margin-top:1.8em;border-bottom:1px solid #c8d0da;padding-bottom:.2em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em .6em .25em 0;border-bottom:1px solid #e3e8ee;vertical-align:top}
td.r,th.r{text-align:right}.lead{font-size:16px}.dim{color:#5a6675}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#1c2430}
.bar{fill:#3b6ea5}.line{fill:#b3541e}
@media print{body{margin:0;max-width:none;font-size:11px}h2{break-after:avoid}tr,svg{break-inside:avoid}.bar,.line{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
</style></head><body>
<h1>Operations report</h1>
<p class="dim">{{date .From}} to {{date .To}} (UTC), by {{.By}}</p>
<p class="lead">{{.Sentence}}</p>
{{range .Notes}}<p class="dim">Note: {{.}}.</p>{{end}}
<h2>Figures</h2>
<table><tbody>
<tr><th scope="row">Incidents</th><td>{{.Whole.Incidents}} ({{num .Whole.PerMonth}} in 30 days), {{.Whole.Open}} open</td></tr>
<tr><th scope="row">Time to detect (MTTD)</th><td>{{stat .Whole.Detect}}</td></tr>
<tr><th scope="row">Time to acknowledge (MTTA)</th><td>{{stat .Whole.Acknowledge}}</td></tr>
<tr><th scope="row">Time to repair (MTTR)</th><td>{{stat .Whole.Repair}}</td></tr>
<tr><th scope="row">Time between incidents (MTBF)</th><td>{{if .Whole.Between}}{{dur .Whole.Between}}{{else}}-{{end}}</td></tr>
<tr><th scope="row">Alerts an incident</th><td>{{num .Whole.AlertsPerIncident}}</td></tr>
<tr><th scope="row">Noise, of the marked</th><td>{{share .Whole.Noise}}</td></tr>
<tr><th scope="row">Repeats within 30 days</th><td>{{share .Whole.Repeats}}</td></tr>
<tr><th scope="row">After a change</th><td>{{share .Whole.AfterChange}}</td></tr>
<tr><th scope="row">Resolved unattended</th><td>{{share .Whole.Unattended}}</td></tr>
<tr><th scope="row">Time lost</th><td>{{num .Whole.LostHours}} h; {{num .Whole.ImpactHours}} h times the share of requests that suffered</td></tr>
</tbody></table><p class="dim">In brackets: 90 % intervals.</p>
<h2>Trends</h2><ul>{{range .Trends}}<li>{{.Sentence}}</li>{{end}}</ul>
{{if .Bars}}<svg viewBox="0 0 860 104" role="img" aria-label="Incidents a week">{{range .Bars}}<rect class="bar" x="{{.X}}" y="{{.Y}}" width="{{.W}}" height="{{.H}}"><title>{{.Text}}</title></rect>{{end}}</svg><p class="dim">Incidents a week</p>{{end}}
{{if .Pareto}}<h2>Where the time goes</h2>
<svg viewBox="0 0 860 {{.Tall}}" role="img" aria-label="Lost time by {{.By}}">{{range .Pareto}}<text x="0" y="{{.LineY}}" dominant-baseline="middle">{{.Name}}</text><rect class="bar" x="{{.X}}" y="{{.Y}}" width="{{.W}}" height="{{.H}}"></rect><circle class="line" cx="{{.LineX}}" cy="{{.LineY}}" r="3"></circle><text x="640" y="{{.LineY}}" dominant-baseline="middle">{{.Text}}</text>{{end}}</svg>
<p class="dim">Bars: hours lost. Dots: share of all lost time, added up.</p>{{end}}
{{if .Effort}}<h2>Where effort pays most</h2><ol>{{range .Effort}}<li>{{.Sentence}}</li>{{end}}</ol>{{end}}
{{if .Groups}}<h2>By {{.By}}</h2><table><thead><tr><th scope="col">{{.By}}</th><th scope="col" class="r">incidents</th><th scope="col">MTTD</th><th scope="col">MTTA</th><th scope="col">MTTR</th><th scope="col" class="r">lost h</th><th scope="col" class="r">repeats</th><th scope="col">changes</th></tr></thead><tbody>
{{range .Groups}}<tr><td>{{.Name}}</td><td class="r">{{.Measures.Incidents}}</td><td>{{stat .Measures.Detect}}</td><td>{{stat .Measures.Acknowledge}}</td><td>{{stat .Measures.Repair}}</td><td class="r">{{num .Measures.LostHours}}</td><td class="r">{{if .Measures.Repeats.Of}}{{pct .Measures.Repeats.Value}}{{else}}-{{end}}</td><td>{{range .Trends}}{{if or (eq .Verdict "rises") (eq .Verdict "falls")}}{{.Figure}} {{.Verdict}} {{end}}{{end}}</td></tr>{{end}}
</tbody></table>{{end}}
</body></html>
`
