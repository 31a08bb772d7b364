package replay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// nezhaFault is one entry of a fault list.
type nezhaFault struct {
	Time      string `json:"inject_time"`
	Timestamp string `json:"inject_timestamp"`
	Pod       string `json:"inject_pod"`
	Type      string `json:"inject_type"`
}

// nezhaDay is one day of the data set.
type nezhaDay struct {
	name   string
	dir    string   // rca_data/DAY
	extra  []string // folders of the fault-free phase of the same system
	faults []Fault
	issues []string
}

// nezhaFaultLength is how long a fault is taken to last; the lists hold no end,
// and the next fault follows after four minutes or more.
const nezhaFaultLength = 3 * 60_000

// openNezha reads the Nezha data set (FSE 2023): rca_data/DAY with metric/ (one
// CSV per pod, one row a minute), log/ and trace/ (one gzipped or plain CSV per
// minute around each fault) and DAY-fault_list.json; construct_data/DAY is the
// fault-free phase. One day is one recording.
//
// Pitfalls that the reader takes care of: the metrics' TimeStamp is that of
// another time zone (their Time is right); the fault lists repeat some
// inject_timestamps (inject_time is right); a day's fault-free metrics may be
// the same rows again; spans have no kinds and start at 'root'.
func openNezha(dir string) ([]*Recording, error) {
	days, err := nezhaDays(dir)
	if err != nil {
		return nil, err
	}
	recs := make([]*Recording, 0, len(days))
	for _, d := range days {
		rec, err := d.recording()
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

func nezhaDays(dir string) ([]*nezhaDay, error) {
	lists, err := filepath.Glob(filepath.Join(dir, "rca_data", "*", "*-fault_list.json"))
	if err != nil {
		return nil, err
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("no rca_data/DAY/DAY-fault_list.json: %w", ErrFormat)
	}
	slices.Sort(lists)
	out := make([]*nezhaDay, 0, len(lists))
	for _, l := range lists {
		d := &nezhaDay{dir: filepath.Dir(l), name: filepath.Base(filepath.Dir(l))}
		raw, err := os.ReadFile(l)
		if err != nil {
			return nil, err
		}
		if d.faults, d.issues, err = readNezhaFaults(raw, d.name); err != nil {
			return nil, fmt.Errorf("%s: %w", l, err)
		}
		if same := filepath.Join(dir, "construct_data", d.name); isDir(same) {
			d.extra = append(d.extra, same)
		}
		out = append(out, d)
	}
	return out, nil
}

func isDir(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.IsDir()
}

// readNezhaFaults reads a fault list: hour -> faults.
func readNezhaFaults(raw []byte, day string) (out []Fault, issues []string, err error) {
	var byHour map[string][]nezhaFault
	if err := json.Unmarshal(raw, &byHour); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, h := range sortedKeys(byHour) {
		for _, f := range byHour[h] {
			at, err := time.Parse("2006-01-02 15:04:05", f.Time)
			ms := at.UnixMilli()
			if err != nil {
				sec, err2 := strconv.ParseInt(f.Timestamp, 10, 64)
				if err2 != nil {
					return nil, nil, fmt.Errorf("fault with neither inject_time nor inject_timestamp: %q: %w", f.Time, ErrFormat)
				}
				ms = sec * 1000
			}
			if f.Pod == "" {
				return nil, nil, fmt.Errorf("fault at %s without inject_pod: %w", f.Time, ErrFormat)
			}
			out = append(out, Fault{Onset: ms, End: ms + nezhaFaultLength, Entity: service(nezhaService(f.Pod)), Kind: f.Type, Detail: f.Pod})
		}
	}
	slices.SortStableFunc(out, func(a, b Fault) int { return int(a.Onset/1000 - b.Onset/1000) })
	seen := map[string]bool{}
	for i := range out {
		out[i].ID = fmt.Sprintf("%s/%02d", day, i+1)
	}
	for _, h := range sortedKeys(byHour) {
		for _, f := range byHour[h] {
			if seen[f.Timestamp] && len(issues) == 0 {
				issues = append(issues, "the fault list repeats inject_timestamps; inject_time was used")
			}
			seen[f.Timestamp] = true
		}
	}
	return out, issues, nil
}

// nezhaService names the service of a pod: the Deployment's name.
func nezhaService(pod string) string {
	parts := strings.Split(pod, "-")
	n := len(parts)
	if n >= 3 && len(parts[n-1]) == 5 && len(parts[n-2]) >= 6 && strings.ContainsAny(parts[n-2], "0123456789") {
		return strings.Join(parts[:n-2], "-")
	}
	return pod
}

// recording opens the day's metrics (they are small) and lists its log and
// trace files, which are read when the clock comes to them.
func (d *nezhaDay) recording() (*Recording, error) {
	b := newBatch(10_000)
	step := int64(60_000)
	files, err := filepath.Glob(filepath.Join(d.dir, "metric", "*.csv"))
	if err != nil {
		return nil, err
	}
	for _, extra := range d.extra {
		more, err := filepath.Glob(filepath.Join(extra, "metric", "*.csv"))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	slices.Sort(files)
	seen := map[string]map[int64]bool{} // file name -> times: the fault-free phase may repeat rows
	for _, f := range files {
		name := filepath.Base(f)
		if seen[name] == nil {
			seen[name] = map[int64]bool{}
		}
		if err := readNezhaMetrics(f, b, seen[name]); err != nil {
			return nil, err
		}
	}
	rec := &Recording{Name: d.name, Step: step, Faults: d.faults, Issues: d.issues}
	feed := &nezhaFeed{metrics: b.feed().items}
	for _, dir := range append([]string{d.dir}, d.extra...) {
		for _, kind := range []string{"log", "trace"} {
			found, err := nezhaMinutes(dir, kind, d.name)
			if err != nil {
				return nil, err
			}
			feed.files = append(feed.files, found...)
		}
	}
	slices.SortStableFunc(feed.files, func(a, b nezhaFile) int {
		if a.minute != b.minute {
			return int((a.minute - b.minute) / 1000)
		}
		return strings.Compare(a.path, b.path)
	})
	if len(feed.metrics) == 0 && len(feed.files) == 0 {
		return nil, fmt.Errorf("%s: neither metrics nor logs nor traces: %w", d.dir, ErrFormat)
	}
	rec.Start, rec.End = feed.bounds()
	rec.Feed = feed
	return rec, nil
}

func nezhaMinutes(dir, kind, day string) ([]nezhaFile, error) {
	found, err := filepath.Glob(filepath.Join(dir, kind, "*_"+kind+".csv*"))
	if err != nil {
		return nil, err
	}
	var out []nezhaFile
	for _, f := range found {
		name := filepath.Base(f)
		if len(name) < 5 {
			continue
		}
		at, err := time.Parse("2006-01-02 15_04", day+" "+name[:5])
		if err != nil {
			return nil, fmt.Errorf("%s: the name must begin with HH_MM: %w", f, ErrFormat)
		}
		out = append(out, nezhaFile{path: f, minute: at.UnixMilli(), trace: kind == "trace"})
	}
	return out, nil
}

// nezhaFile is one minute of logs or spans.
type nezhaFile struct {
	path   string
	minute int64 // named; the records are from the two minutes before to the one after
	trace  bool
}

// entityOfPod gives the service and the instance of a pod.
func entityOfPod(pod string) (svc, inst telemetry.Entity) {
	return service(nezhaService(pod)), telemetry.Entity{Kind: telemetry.KindInstance, Name: pod}
}
