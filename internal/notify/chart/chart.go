// Package chart draws one series with its expected band as a PNG.
//
// It exists so that a message shows what its words say, also where nobody can
// open the console. It draws what it is given (gonum/plot does the work) and
// reads nothing. [PNG] is safe for concurrent use.
package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Picture is what is drawn. Times are Unix ms, samples and band oldest first.
type Picture struct {
	Title   string
	Unit    string
	Samples []telemetry.Sample // NaN breaks the line
	Band    []ops.Band
	Onset   int64 // a line where trouble began; 0 for none
}

// Size of the picture in pixels, at 96 a inch.
const width, height = 720, 280

// PNG draws. Without any finite sample it fails.
func PNG(x Picture) ([]byte, error) {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = x.Title, x.Unit
	p.Title.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = vg.Points(11), vg.Points(9)
	p.X.Tick.Marker = plot.TimeTicks{Format: "15:04", Time: func(t float64) time.Time { return time.Unix(int64(t), 0).UTC() }}
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	if err := addBand(p, x.Band); err != nil {
		return nil, err
	}
	drawn := 0
	for _, run := range runs(x.Samples) {
		l, err := plotter.NewLine(run)
		if err != nil {
			return nil, fmt.Errorf("cannot draw the series: %w", err)
		}
		l.Color, l.Width = color.RGBA{R: 31, G: 96, B: 196, A: 255}, vg.Points(1.3)
		p.Add(l)
		drawn += len(run)
	}
	if drawn == 0 {
		return nil, fmt.Errorf("cannot draw %q: it has no values", x.Title)
	}
	if x.Onset > 0 {
		at := float64(x.Onset) / 1000
		l, err := plotter.NewLine(plotter.XYs{{X: at, Y: p.Y.Min}, {X: at, Y: p.Y.Max}})
		if err != nil {
			return nil, fmt.Errorf("cannot draw the onset: %w", err)
		}
		l.Color, l.Dashes = color.RGBA{R: 200, G: 40, B: 40, A: 255}, []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(l)
	}
	w, err := p.WriterTo(vg.Points(width*.75), vg.Points(height*.75), "png")
	if err != nil {
		return nil, fmt.Errorf("cannot draw %q: %w", x.Title, err)
	}
	var out bytes.Buffer
	if _, err := w.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("cannot encode the picture: %w", err)
	}
	return out.Bytes(), nil
}

// addBand draws the expected band as an area, and what is expected in it.
func addBand(p *plot.Plot, band []ops.Band) error {
	var low, high, mid plotter.XYs
	for _, b := range band {
		if !finite(b.Low) || !finite(b.High) || !finite(b.Expected) {
			continue
		}
		at := float64(b.T) / 1000
		low, high = append(low, plotter.XY{X: at, Y: b.Low}), append(high, plotter.XY{X: at, Y: b.High})
		mid = append(mid, plotter.XY{X: at, Y: b.Expected})
	}
	if len(low) < 2 {
		return nil
	}
	outline := high
	for i := len(low) - 1; i >= 0; i-- {
		outline = append(outline, low[i])
	}
	area, err := plotter.NewPolygon(outline)
	if err != nil {
		return fmt.Errorf("cannot draw the band: %w", err)
	}
	area.Color, area.LineStyle.Width = color.RGBA{R: 205, G: 222, B: 205, A: 255}, 0
	line, err := plotter.NewLine(mid)
	if err != nil {
		return fmt.Errorf("cannot draw what is expected: %w", err)
	}
	line.Color = color.RGBA{R: 110, G: 150, B: 110, A: 255}
	p.Add(area, line)
	return nil
}

// runs cuts the series where a value is missing.
func runs(in []telemetry.Sample) []plotter.XYs {
	var out []plotter.XYs
	var run plotter.XYs
	for _, s := range in {
		if finite(s.V) {
			run = append(run, plotter.XY{X: float64(s.T) / 1000, Y: s.V})
			continue
		}
		if len(run) > 0 {
			out, run = append(out, run), nil
		}
	}
	if len(run) > 0 {
		out = append(out, run)
	}
	return out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
