package api

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Range is the pair of parameters that most reads take.
type Range struct {
	From string `query:"from" doc:"Start: Unix ms, RFC 3339, or an age such as -1h. Default: one hour before the end." example:"-1h"`
	To   string `query:"to" doc:"End, in the same forms. Default: now."`
}

// resolve gives the range in Unix ms. fallback is its length when from is
// missing.
func (r Range) resolve(now time.Time, fallback time.Duration) (from, to int64, err error) {
	to = now.UnixMilli()
	if r.To != "" {
		if to, err = ParseTime("to", r.To, now); err != nil {
			return 0, 0, err
		}
	}
	from = to - fallback.Milliseconds()
	if r.From != "" {
		if from, err = ParseTime("from", r.From, now); err != nil {
			return 0, 0, err
		}
	}
	if from > to {
		return 0, 0, fmt.Errorf("%w: from (%d) is after to (%d)", errBadRequest, from, to)
	}
	return from, to, nil
}

// latest is the first Unix ms that is refused, in the year 2248: later ones do
// not fit the nanoseconds that logs and spans are stored with.
const latest = 1 << 43

// ParseTime reads a moment as the API takes it: Unix ms, RFC 3339, now, or an
// age such as -1h. The error calls it by name.
func ParseTime(name, text string, now time.Time) (int64, error) {
	if text == "now" {
		return now.UnixMilli(), nil
	}
	if age, found := strings.CutPrefix(text, "-"); found {
		if d, err := model.ParseDuration(age); err == nil {
			return max(0, now.Add(-time.Duration(d)).UnixMilli()), nil
		}
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 && ms < latest {
		return ms, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil && t.UnixMilli() >= 0 && t.UnixMilli() < latest {
		return t.UnixMilli(), nil
	}
	return 0, fmt.Errorf("%w: %s=%q is not a time from 1970 to 2248: use Unix milliseconds, RFC 3339 or an age such as -1h", errBadRequest, name, text)
}

func parseSeriesID(text string) (telemetry.SeriesID, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: series id %q is not a decimal number", errBadRequest, text)
	}
	return telemetry.SeriesID(id), nil
}
