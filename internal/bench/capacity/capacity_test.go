package capacity

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTracesDatesAndSchedulesAreScored(t *testing.T) {
	dir := t.TempDir()
	var named, timed strings.Builder
	named.WriteString("cpu,text\n")
	timed.WriteString("timestamp,mem,flat\n")
	for i := range 8 * 144 {
		v := 50 + 20*math.Sin(2*math.Pi*float64(i)/144) + .02*float64(i) + float64(i*7919%13)/13
		fmt.Fprintf(&named, "%g,no\n", v)
		fmt.Fprintf(&timed, "%d,%g,1\n", 1_700_000_000+600*i, v)
	}
	for name, text := range map[string]string{"usage_600_seconds.csv": named.String(), "b.csv": timed.String(), "c.csv": "x\n1\n2\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Run(context.Background(), dir, Options{Seed: 1, Supplies: 30, Horizon: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Traces) != 2 || r.Traces[0].Origins == 0 || r.MASEGain < .3 || r.PinballGain < .3 {
		t.Errorf("a wave that climbs: %+v", r.Traces)
	}
	if all := strings.Join(r.Skipped, "; "); !strings.Contains(all, "c.csv") || !strings.Contains(all, "flat") {
		t.Errorf("left out: %s", all)
	}
	if r.Dates.Supplies != 30 || r.Dates.Error > r.Dates.LinearError || r.Dates.P10 > .4 || r.Dates.P90 < .6 {
		t.Errorf("dates: %+v", r.Dates)
	}
	if r.Schedule.Saved < .2 || r.Schedule.Exceeded > .03 {
		t.Errorf("schedules: %+v", r.Schedule)
	}
	if _, err := Run(context.Background(), t.TempDir(), Options{Horizon: time.Hour}); err == nil {
		t.Error("an empty folder holds no trace")
	}
}
