package events

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// split cuts a line at the delimiter, quotes respected.
func split(text, comma string) []string {
	if !strings.Contains(text, `"`) {
		return strings.Split(text, comma)
	}
	var out []string
	var b strings.Builder
	in := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' && in && i+1 < len(text) && text[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			in = !in
		case c == comma[0] && !in:
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(out, b.String())
}

// decimal reads a decimal comma where commas do not part cells.
func decimal(s, comma string) string {
	if comma != "," && strings.Count(s, ",") == 1 && !strings.Contains(s, ".") {
		return strings.Replace(s, ",", ".", 1)
	}
	return s
}

func layouts() []string {
	return []string{
		"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04:05 Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 MST",
		"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02T15:04Z07:00", "01/02/2006 15:04:05", "1/2/2006 15:04:05", "1/2/2006 15:04", "2.1.2006 15:04:05", "2.1.2006 15:04", "1/2/2006", "2.1.2006", "2006/01/02 15:04:05", "2006/01/02 15:04", "2006-01-02", "2006/01/02",
	}
}

// parseTime reads ISO civil time (UTC where no zone is given), month/day/year,
// day.month.year, or a Unix time
// in seconds, milliseconds, microseconds or nanoseconds, told apart by size, to
// Unix ms. layout is tried first and set to what fitted.
func parseTime(s string, layout *int) (int64, error) {
	s = strings.TrimSpace(s)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		a := math.Abs(f)
		switch {
		case math.IsNaN(f) || a >= 1e20:
		case a < 1e11:
			return int64(math.Round(f * 1000)), nil
		case a < 1e14:
			return int64(f), nil
		case a < 1e17:
			return int64(f / 1e3), nil
		default:
			return int64(f / 1e6), nil
		}
		return 0, fmt.Errorf("cannot read %q as a time", s)
	}
	ls := layouts()
	if t, err := time.ParseInLocation(ls[*layout], s, time.UTC); err == nil {
		return t.UnixMilli(), nil
	}
	for i, l := range ls {
		if strings.HasSuffix(l, "MST") && !strings.HasSuffix(s, "UTC") && !strings.HasSuffix(s, "GMT") {
			continue // the offsets of other short names are not known
		}
		if t, err := time.ParseInLocation(l, s, time.UTC); err == nil {
			*layout = i
			return t.UnixMilli(), nil
		}
	}
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return 0, fmt.Errorf("cannot read %q as a time", s)
}

func oneOf(s, words string) bool {
	s = strings.ToLower(strings.Trim(strings.TrimSpace(s), `"`))
	s = strings.NewReplacer(" ", "_", "-", "_").Replace(s)
	for w := range strings.FieldsSeq(words) {
		if s == w {
			return true
		}
	}
	return false
}

func isTimeName(s string) bool {
	return oneOf(s, "timestamp timestamps time datetime date ts t ds unix unix_time epoch @timestamp time_stamp timestamp_ms timestamp_s")
}

func isLabelColumn(s string) bool {
	return oneOf(s, "label labels anomaly anomalies is_anomaly isanomaly anomalous anomaly_label outlier is_outlier ground_truth groundtruth y_true truth abnormal is_abnormal attack is_attack anomaly_flag")
}

// isCounter tells columns that only count rows.
func isCounter(s string) bool { return oneOf(s, "index idx row row_id unnamed:_0 no") }

// marked reads a cell of a column of labels.
func marked(s string) float64 {
	if x, err := number(s); err == nil {
		if x > .5 {
			return 1
		}
		return 0
	}
	if oneOf(s, "anomaly anomalous abnormal outlier attack yes y t") {
		return 1
	}
	return 0
}

// isLabelName says whether a CSV file of this name holds labels, not data.
func isLabelName(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	return oneOf(base, labelNames)
}

const labelNames = "labels label windows anomalies anomaly_windows combined_windows combined_labels label_windows labelled_windows events ground_truth"

const labelFolders = "labels label windows ground_truth annotations"

// ownLabels tells the file of labels of a single data file: NAME_labels.csv,
// NAME.labels.json, or any in a folder labels/. stem is the data file's name.
func ownLabels(dir, name string) (stem string, ok bool) {
	low := strings.ToLower(name)
	if !strings.HasSuffix(low, ".json") && !strings.HasSuffix(low, ".csv") {
		return "", false
	}
	stem = name[:strings.LastIndexByte(name, '.')]
	for w := range strings.FieldsSeq(labelNames) {
		for _, sep := range []string{"_", ".", "-"} {
			if strings.HasSuffix(strings.ToLower(stem), sep+w) {
				return stem[:len(stem)-len(w)-1], true
			}
		}
	}
	return stem, oneOf(dir, labelFolders)
}
