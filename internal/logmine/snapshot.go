package logmine

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// snapshotVersion changes when a snapshot of before cannot be read any more.
const snapshotVersion = 1

// ErrSnapshot is returned (wrapped) when a snapshot cannot be used.
var ErrSnapshot = errors.New("unusable log template snapshot")

type savedHead struct {
	Version  int
	LastEnd  int64
	Services int
	Aliases  []uint64 // old and new in turn, oldest first
}

type savedService struct {
	Entity    telemetry.Entity
	Lines     uint64
	First     int64
	Last      int64
	Raised    uint64
	Active    [ranges]int64
	Shares    []shareCount // by minute
	SharePeak float64
	Templates []savedTemplate // oldest first within a bucket
}

type savedTemplate struct {
	ID          uint64
	Line        string
	Wild        []int // places in the pattern that are wildcards
	RunVaries   []int // tokens whose run varies in length
	Varies      []int // tokens with more than one value, each with its affixes
	Affixes     []byte
	Count       uint64
	Tracked     uint64
	Used        uint64
	First, Last int64
	Severity    telemetry.Severity
	LastActive  int64
	Rated       bool
	Versions    []Version
}

// Snapshot writes what the miner knows. Lines that are added meanwhile may or
// may not be in it; counts of the current window and anomalies that last are
// not. Safe for concurrent use.
func (m *Miner) Snapshot(w io.Writer) error {
	all := m.all()
	m.mu.RLock()
	head := savedHead{Version: snapshotVersion, LastEnd: m.lastEnd, Services: len(all), Aliases: m.aliases.pairs()}
	m.mu.RUnlock()
	enc := gob.NewEncoder(w)
	if err := enc.Encode(&head); err != nil {
		return fmt.Errorf("write log template snapshot: %w", err)
	}
	for _, s := range all {
		s.mu.Lock()
		saved := s.save()
		s.mu.Unlock()
		if err := enc.Encode(&saved); err != nil {
			return fmt.Errorf("write log templates of %s: %w", s.entity, err)
		}
	}
	return nil
}

func (s *service) save() savedService {
	out := savedService{
		Entity: s.entity, Lines: s.lines, First: s.firstNs, Last: s.lastNs,
		Raised: s.novelty.raised, Active: s.rates.active,
		Shares: slices.Clone(s.shares.slots), SharePeak: s.shares.peak,
	}
	for _, bucket := range s.buckets {
		for _, t := range bucket {
			out.Templates = append(out.Templates, t.save())
		}
	}
	return out
}

func (t *template) save() savedTemplate {
	out := savedTemplate{
		ID: t.id, Line: t.line, Count: t.count, Tracked: t.tracked, Used: t.used,
		First: t.first, Last: t.last, Severity: t.severity, LastActive: t.active, Rated: t.rated, Versions: slices.Clone(t.versions),
	}
	for i, w := range t.words {
		if w == wildWord {
			out.Wild = append(out.Wild, i)
		}
	}
	for i, p := range t.places {
		if p.flags&flagRunVaries != 0 {
			out.RunVaries = append(out.RunVaries, i)
		}
	}
	for i, st := range t.stats {
		if st.varies {
			out.Varies = append(out.Varies, i)
			out.Affixes = append(out.Affixes, st.prefix, st.suffix)
		}
	}
	return out
}

// Restore replaces what the miner knows with a snapshot. On an error the miner
// is as it was. What a snapshot holds beyond the configured limits is left
// out. Not to be called beside other methods.
func (m *Miner) Restore(r io.Reader) error {
	dec := gob.NewDecoder(r)
	var head savedHead
	if err := dec.Decode(&head); err != nil {
		return fmt.Errorf("read log template snapshot: %w: %w", ErrSnapshot, err)
	}
	if head.Version != snapshotVersion {
		return fmt.Errorf("read log template snapshot: %w: version %d, not %d", ErrSnapshot, head.Version, snapshotVersion)
	}
	fresh := New(m.cfg)
	for i := 0; i+1 < len(head.Aliases); i += 2 {
		fresh.aliases.add(head.Aliases[i], head.Aliases[i+1])
	}
	for range head.Services {
		var saved savedService
		if err := dec.Decode(&saved); err != nil {
			return fmt.Errorf("read log template snapshot: %w: %w", ErrSnapshot, err)
		}
		if s := fresh.service(saved.Entity); s != nil {
			s.load(&saved)
			s.onMerged, s.shared, s.cfg = m.aliases.add, &m.shared, &m.cfg
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.services, m.lastEnd = fresh.services, head.LastEnd
	m.shared.services.Store(int64(len(m.services)))
	m.shared.total.Store(fresh.shared.total.Load())
	m.aliases.replace(&fresh.aliases)
	return nil
}

func (s *service) load(saved *savedService) {
	s.lines, s.firstNs, s.lastNs = saved.Lines, saved.First, saved.Last
	s.novelty.raised = saved.Raised
	s.rates.active = saved.Active
	s.shares.slots, s.shares.peak = saved.Shares[:min(len(saved.Shares), shareSlots+1)], saved.SharePeak
	for k := range ranges {
		if s.rates.active[k] > 0 {
			s.rates.labels[k] = Labels(s.entity, telemetry.Severity(max(0, 4*k-3)))
		}
	}
	for i := range saved.Templates {
		s.loadTemplate(&saved.Templates[i])
	}
}

// loadTemplate scans the exemplar again, which gives the words and places,
// and puts what was learned on top.
func (s *service) loadTemplate(saved *savedTemplate) {
	if s.live >= s.cfg.MaxTemplates || s.bytes >= s.cfg.MaxBytes || saved.ID == 0 || s.hasID(saved.ID) {
		return
	}
	s.scan.run(saved.Line)
	b := s.find.load(&s.scan)
	t := newTemplate(&s.scan, s.find.words)
	t.id, t.bucket = saved.ID, b
	t.count, t.tracked, t.used = saved.Count, saved.Tracked, min(saved.Used, s.lines)
	t.first, t.last, t.severity, t.active = saved.First, saved.Last, saved.Severity, saved.LastActive
	for _, i := range saved.Wild {
		if i >= 0 && i < len(t.words) {
			t.words[i] = wildWord
		}
	}
	for _, i := range saved.RunVaries {
		if i >= 0 && i < len(t.places) {
			t.places[i].flags |= flagRunVaries
		}
	}
	if t.tracked > 1 {
		t.startStats()
		for k, i := range saved.Varies {
			if i >= 0 && i < len(t.stats) && 2*k+1 < len(saved.Affixes) {
				limit := t.stats[i].prefix
				t.stats[i] = slotStat{min(saved.Affixes[2*k], limit), min(saved.Affixes[2*k+1], limit), true}
			}
		}
	}
	t.versions = saved.Versions[:min(len(saved.Versions), maxVersions)]
	t.dirty = false
	s.place(t)
	if saved.Rated && s.rates.rated < s.cfg.RatedTemplates {
		t.rated = true
		s.rates.rated++
		t.labels = TemplateLabels(s.entity, t.id)
	}
}
