package logread

import (
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Formats of a stream, as [Config.Format] names them.
const (
	FormatAuto   = "auto"   // found out from the first lines
	FormatText   = "text"   // a learned header and a message
	FormatJSON   = "json"   // one JSON object a record
	FormatLogfmt = "logfmt" // key=value pairs
	FormatCSV    = "csv"    // with a header line
	FormatAccess = "access" // Common and Combined Log Format: Apache, nginx
	FormatW3C    = "w3c"    // IIS, CloudFront, Zeek
	FormatCRI    = "cri"    // container runtimes; what is inside is found out
	FormatRaw    = "raw"    // every line is a message
)

// Formats lists the formats that a stream can be told to have.
func Formats() []string {
	return []string{FormatAuto, FormatText, FormatJSON, FormatLogfmt, FormatCSV, FormatAccess, FormatW3C, FormatCRI, FormatRaw}
}

const (
	sampleLines = 300
	sampleBytes = 1 << 20
	firmLines   = 50  // from which what was learned is not learned again
	strayLines  = 500 // lines in a row without the header, after which it is learned anew
)

// Config says how to read a stream. The zero value finds everything out.
type Config struct {
	Format   string // one of [Formats]; "" is auto
	Clock    Clock
	Ref      int64 // Unix ns: the time around which the stream was written, for stamps without year or day
	Untimed  int64 // Unix ns: time of records before any that has one; 0 leaves them without
	MaxLines int   // lines of a record (1000)
	MaxBytes int   // bytes of a record's lines together, but for its first (256 KiB)
	// JSON turns a JSON object, Fields the pairs of other structured lines,
	// into a record. Without them such lines are messages.
	JSON   func(doc string) (telemetry.LogRecord, bool)
	Fields func(attrs []telemetry.Attr) (telemetry.LogRecord, bool)
}

// Item is one record and where it stood.
type Item struct {
	Record     telemetry.LogRecord
	Begin, End int64 // offsets in the decoded text
	Lines      int
	Timed      bool // the record has a time of its own
}

// Stream turns lines into records. Make one with [New].
type Stream struct {
	cfg Config
	out func(Item)

	format string
	layout layout
	sheet  sheet
	firm   bool // learned for good

	sample  []string
	sampled int // bytes
	waiting []Line
	misses  int

	rec   record
	first Line  // of rec
	last  int64 // time of the last record that had one
	inner *Stream
	part  Line // of a CRI record whose rest has not come
}

// New makes a stream that hands its records to out, in order.
func New(cfg Config, out func(Item)) *Stream {
	if cfg.MaxLines <= 0 {
		cfg.MaxLines = 1000
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 256 << 10
	}
	s := &Stream{cfg: cfg, out: out, layout: layout{stamp: -1}, last: cfg.Untimed}
	return s
}

// Format returns what the stream was found to be, "" before it was.
func (s *Stream) Format() string { return s.format }

// Add takes the next line. Records come when they are complete: a record of
// text when the next one begins.
func (s *Stream) Add(line Line) {
	if !s.firm {
		if s.sampled < sampleBytes && len(s.sample) < sampleLines {
			s.sample = append(s.sample, line.Text[:min(len(line.Text), 4096)])
			s.sampled += len(line.Text)
		}
		s.waiting = append(s.waiting, line)
		if s.format != "" {
			s.release()
		}
		if len(s.sample) >= sampleLines || s.sampled >= sampleBytes {
			s.learn()
			s.release()
		}
		return
	}
	s.take(line)
}

// Flush gives what waits: at the end of the stream, or when nothing has come
// for a while. Lines that come later begin a record of their own, or follow as
// their own record.
func (s *Stream) Flush() {
	if !s.firm && len(s.sample) > 0 {
		s.learn()
		s.release()
	}
	s.give()
	if s.inner != nil {
		s.inner.Flush()
	}
}

// Prime lets the stream learn from lines that it is not to give records of:
// the first of a stream that is read on from somewhere.
func (s *Stream) Prime(lines []string) {
	s.sample, s.sampled = lines[:min(len(lines), sampleLines)], 0
	if len(s.sample) > 0 {
		s.learn()
	}
}

func (s *Stream) release() {
	waiting := s.waiting
	s.waiting = nil
	for _, line := range waiting {
		s.take(line)
	}
}

// learn decides on format and header by the sample.
func (s *Stream) learn() {
	s.firm = len(s.sample) >= firmLines || s.sampled >= sampleBytes
	was := s.format
	s.format = s.cfg.Format
	if s.format == "" || s.format == FormatAuto {
		s.format = s.detect()
	}
	switch s.format {
	case FormatCSV:
		if s.sheet.names == nil {
			s.sheet, _ = csvSheet(s.sample)
		}
	case FormatCRI:
		if s.inner == nil || was != FormatCRI {
			cfg := s.cfg
			cfg.Format = FormatAuto
			s.inner = New(cfg, s.out)
		}
	case FormatRaw:
	default:
		s.layout = learn(s.sample, s.cfg.Clock, s.cfg.Ref)
	}
	if s.firm {
		s.sample, s.sampled = nil, 0
	}
}

// share is the part of the sample's lines, but for empty ones and parts of
// longer records, of which is says yes.
func (s *Stream) share(is func(line string) bool) float64 {
	n, yes := 0, 0
	for _, line := range s.sample {
		if strings.TrimSpace(line) == "" || line[0] != '{' && continues(line) {
			continue
		}
		n++
		if is(line) {
			yes++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(yes) / float64(n)
}

// detect finds the format of the sample.
func (s *Stream) detect() string {
	for _, line := range s.sample {
		if _, ok := w3cFields(line); ok && s.cfg.Fields != nil {
			return FormatW3C
		}
	}
	if s.cfg.JSON != nil && s.looksJSON() {
		return FormatJSON
	}
	const enough = 0.8
	switch {
	case s.share(func(line string) bool { _, ok := readAccess(line, s.cfg.Clock, s.cfg.Ref); return ok }) >= enough:
		return FormatAccess
	case s.share(func(line string) bool { _, _, _, ok := readCRI(line, s.cfg.Clock, s.cfg.Ref); return ok }) >= enough:
		return FormatCRI
	case s.cfg.Fields == nil:
		return FormatText
	case s.share(func(line string) bool { a, ok := readLogfmt(line); return ok && len(a) > 2 }) >= enough:
		return FormatLogfmt
	}
	if sheet, ok := csvSheet(s.sample); ok {
		s.sheet = sheet
		return FormatCSV
	}
	return FormatText
}

// looksJSON reports whether most of the sample is JSON objects, each on a line
// or over several.
func (s *Stream) looksJSON() bool {
	covered, lines := 0, 0
	var doc strings.Builder
	var b braces
	n := 0
	for _, line := range s.sample {
		if strings.TrimSpace(line) == "" {
			continue
		}
		lines++
		if n == 0 && !strings.HasPrefix(strings.TrimLeft(line, " \t"), "{") {
			continue
		}
		b.add(line)
		doc.WriteString(line)
		if n++; b.depth > 0 && n < s.cfg.MaxLines {
			continue
		}
		if _, ok := s.cfg.JSON(doc.String()); ok {
			covered += n
		}
		doc.Reset()
		b, n = braces{}, 0
	}
	if n > 0 && b.depth > 0 { // cut off by the sample's end
		lines -= n
	}
	return covered > 0 && float64(covered) >= 0.7*float64(lines)
}

// take reads one line.
func (s *Stream) take(line Line) {
	switch s.format {
	case FormatCRI:
		s.container(line)
		return
	case FormatW3C:
		if sh, ok := w3cFields(line.Text); ok {
			s.sheet = sh
			return
		}
		if strings.HasPrefix(line.Text, "#") {
			return
		}
	case FormatCSV:
		if cells, ok := s.sheet.cells(line.Text); ok && line.Begin == 0 && len(cells) == len(s.sheet.names) {
			return // the header line
		}
	}
	if s.rec.open && s.belongs(line.Text) {
		if s.rec.lines < s.cfg.MaxLines && s.rec.text.Len()-s.rec.head+len(line.Text) < s.cfg.MaxBytes {
			s.rec.append(line.Text, line.End)
			s.rec.cut = s.rec.cut || line.Cut
			s.rec.braces.add(line.Text)
			return
		}
		trail := s.rec.trail
		s.give()
		s.begin(line)
		s.rec.trail = trail
		return
	}
	if strings.TrimSpace(line.Text) == "" {
		s.rec.blanks = min(s.rec.blanks+1, 3)
		return
	}
	s.give()
	s.begin(line)
}

func (s *Stream) begin(line Line) {
	s.first = line
	s.rec.start(line.Text, line.Begin, line.End)
	s.rec.cut = line.Cut
	s.rec.braces.add(line.Text)
	if s.format == FormatRaw {
		s.give()
	}
}

// belongs reports whether a line is a part of the record that is open.
func (s *Stream) belongs(line string) bool {
	r := &s.rec
	switch s.format {
	case FormatJSON:
		if r.braces.depth > 0 {
			return true
		}
		return !strings.HasPrefix(line, "{") && (continues(line) || r.trail != trailNone && s.onTrail(line))
	case FormatCSV:
		return strings.Count(r.text.String(), `"`)%2 == 1
	case FormatAccess, FormatLogfmt, FormatW3C:
		return line != "" && continues(line)
	}
	if s.layout.stamp >= 0 {
		return s.stray(line)
	}
	if r.braces.depth > 0 && endsOpen(r.text.String()[:r.head]) {
		return true
	}
	if s.onTrail(line) {
		return true
	}
	if line != "" && continues(line) {
		r.trail = opens(line, r.trail)
		return !strings.HasPrefix(line, "Traceback") && !strings.HasPrefix(line, "goroutine ")
	}
	return false
}

// stray reports whether a line of a stream with time stamps has none. When
// none of many has, the stream's header has changed.
func (s *Stream) stray(line string) bool {
	if s.layout.begins(line) {
		s.misses = 0
		return false
	}
	if continues(line) {
		return true
	}
	if s.misses++; s.misses >= strayLines {
		s.misses, s.firm, s.format, s.layout = 0, false, "", layout{stamp: -1}
		return false
	}
	return true
}

func (s *Stream) onTrail(line string) bool {
	yes, next := s.rec.trail.follows(line)
	if yes {
		s.rec.trail = opens(line, next)
	}
	return yes
}

// endsOpen reports whether a line ends with an opening bracket: an object over
// several lines begins.
func endsOpen(line string) bool {
	line = strings.TrimRight(line, " \t")
	return strings.HasSuffix(line, "{") || strings.HasSuffix(line, "[")
}

// container takes a line of a container runtime.
func (s *Stream) container(line Line) {
	at, text, part, ok := readCRI(line.Text, s.cfg.Clock, s.cfg.Ref)
	if !ok {
		s.givePart()
		s.inner.Add(line)
		return
	}
	if s.part.Text != "" {
		text = s.part.Text + text
		line.Begin = s.part.Begin
		s.part = Line{}
	}
	line.Text, line.Time = text, at
	if part && len(text) < DefaultMaxLine {
		s.part = line
		return
	}
	s.inner.Add(line)
}

// givePart gives up waiting for the rest of a line.
func (s *Stream) givePart() {
	if s.part.Text != "" {
		part := s.part
		s.part = Line{}
		s.inner.Add(part)
	}
}

// give finishes the open record.
func (s *Stream) give() {
	s.givePart()
	r := &s.rec
	if !r.open {
		return
	}
	r.open = false
	text := strings.TrimRight(r.text.String(), " \t\n")
	rec := s.read(text[:min(r.head, len(text))], text[min(r.head, len(text)):])
	timed := rec.Time != 0
	switch {
	case !timed && s.first.Time != 0:
		rec.Time, timed = s.first.Time, true
	case !timed:
		rec.Time = s.last
	default:
		s.last = rec.Time
	}
	if r.cut {
		rec.Attributes = append(rec.Attributes, telemetry.Attr{Key: "log.truncated", Value: "true"})
	}
	rec.Attributes, rec.Resource = sorted(rec.Attributes), sorted(rec.Resource)
	s.out(Item{Record: rec, Begin: r.begin, End: r.end, Lines: r.lines, Timed: timed})
}

// sorted sorts attributes by key and keeps the first of each.
func sorted(attrs []telemetry.Attr) []telemetry.Attr {
	slices.SortStableFunc(attrs, func(a, b telemetry.Attr) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(attrs, func(a, b telemetry.Attr) bool { return a.Key == b.Key })
}

// read makes a record of a first line and what follows it (with line ends).
func (s *Stream) read(line, more string) (rec telemetry.LogRecord) {
	ok := false
	switch s.format {
	case FormatJSON:
		if rec, ok = s.cfg.JSON(line + more); !ok {
			if rec, ok = s.cfg.JSON(line); ok {
				rec.Body += more
			}
		}
	case FormatLogfmt:
		if attrs, is := readLogfmt(line); is && s.cfg.Fields != nil {
			if rec, ok = s.cfg.Fields(attrs); ok {
				rec.Body += more
			}
		}
	case FormatCSV, FormatW3C:
		if attrs, is := s.sheet.row(line + more); is && s.cfg.Fields != nil {
			rec, ok = s.cfg.Fields(attrs)
		}
	case FormatAccess:
		var a access
		if a, ok = readAccess(line, s.cfg.Clock, s.cfg.Ref); ok {
			a.fill(&rec)
			rec.Body += more
			return rec
		}
	case FormatRaw:
		rec.Body = line + more
		return rec
	}
	if ok {
		typeWeb(&rec)
		if rec.Body == "" {
			rec.Body = pairs(rec.Attributes)
		}
		return rec
	}
	h, _ := s.layout.cut(line)
	rec = telemetry.LogRecord{}
	h.fill(&rec)
	rec.Body += more
	return rec
}

// pairs writes attributes as a message, where the sender gave none.
func pairs(attrs []telemetry.Attr) string {
	var b strings.Builder
	for i, a := range attrs {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.Key)
		b.WriteByte('=')
		b.WriteString(a.Value)
	}
	return b.String()
}
