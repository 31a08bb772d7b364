package logmine

import (
	"slices"
	"sync"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// noSlot is the slot of a retired template.
const noSlot = 1<<32 - 1

// service mines the lines of one entity. Its lock guards everything in it.
type service struct {
	mu     sync.Mutex
	entity telemetry.Entity
	salt   uint64 // hash of the entity: makes ids unique across services
	cfg    *Config

	scan  scanner
	find  finder
	cache cache

	templates  []*template // by slot; nil when free
	free       []uint32
	buckets    map[uint64][]*template // oldest first
	ids        map[uint64]*template
	live       int
	merged     []*template // dead by merging, their slots not yet free
	bytes      int         // estimate of what the templates hold
	cacheBytes int         // what the shared budget knows of the cache

	lines    uint64
	firstNs  int64 // log time
	lastNs   int64
	rates    rates
	novelty  novelty
	shares   shares
	merges   uint64
	retired  uint64
	onMerged func(old, survivor uint64)
	shared   *budget
}

func newService(e telemetry.Entity, cfg *Config, shared *budget, onMerged func(old, survivor uint64)) *service {
	return &service{
		entity:   e,
		salt:     hashText(e.String()),
		cfg:      cfg,
		buckets:  make(map[uint64][]*template),
		ids:      make(map[uint64]*template),
		onMerged: onMerged,
		shared:   shared,
	}
}

// add mines one body; created tells that it made a template of its own.
func (s *service) add(body string) (t *template, created bool) {
	s.lines++
	s.scan.run(body)
	key := s.scan.key
	if slot, ok := s.cache.get(key); ok {
		if t = s.templates[slot]; t != nil {
			if t.into != nil {
				t = t.live()
				s.cache.put(key, t.slot)
			}
			s.hit(t)
			return t, false
		}
	}
	t, created = s.meet(key)
	s.cache.put(key, t.slot)
	s.hit(t)
	return t, created
}

// hit counts a line of t.
func (s *service) hit(t *template) {
	t.count++
	t.window++
	t.used = s.lines
	if t.count <= trackAlways || t.count%trackEvery == 0 {
		before := t.stats == nil
		t.track(&s.scan)
		if before && t.stats != nil {
			s.account(3 * len(t.stats))
		}
	}
	if len(t.params) > 0 && t.measured < paramLines {
		t.measure(&s.scan)
	}
}

// meet finds or makes the template of a pattern that the cache does not know.
func (s *service) meet(key uint64) (t *template, created bool) {
	b := s.find.load(&s.scan)
	bucket := s.buckets[b]
	if t = s.find.match(bucket); t != nil {
		return t, false
	}
	if members, i, j := s.find.merge(&s.scan); len(members) > 0 {
		return s.join(b, members, i, j), false
	}
	if len(bucket) >= bucketLimit {
		s.compact(b)
		if t = s.find.match(s.buckets[b]); t != nil {
			return t, false
		}
	}
	t = newTemplate(&s.scan, s.find.words)
	t.id, t.bucket = s.newID(key), b
	s.place(t)
	s.makeRoom(t)
	return t, true
}

// place gives t a slot and puts it into its bucket.
func (s *service) place(t *template) {
	if n := len(s.free); n > 0 {
		t.slot = s.free[n-1]
		s.free = s.free[:n-1]
		s.templates[t.slot] = t
	} else {
		t.slot = uint32(len(s.templates))
		s.templates = append(s.templates, t)
	}
	s.buckets[t.bucket] = append(s.buckets[t.bucket], t)
	s.live++
	s.ids[t.id] = t
	s.account(t.bytes())
}

// newID derives the id from the entity and the first pattern, so that the
// same message has the same id in every run. Ids keep to 53 bits: they are
// exact numbers in JSON and JavaScript.
func (s *service) newID(key uint64) uint64 {
	for id := mix(s.salt, key); ; id = mix(id, hashSeed) {
		id &= 1<<53 - 1
		if id != 0 && !s.hasID(id) {
			return id
		}
	}
}

// hasID reports whether a template that lives or was merged has the id.
func (s *service) hasID(id uint64) bool {
	_, ok := s.ids[id]
	return ok
}

// join makes wildcards of the places i and j of the oldest member and merges
// the others into it. It returns the survivor.
func (s *service) join(b uint64, members []*template, i, j int) *template {
	survivor := members[0]
	survivor.words[i] = wildWord
	survivor.dirty = true
	if j >= 0 {
		survivor.words[j] = wildWord
	}
	for _, t := range members[1:] {
		s.absorb(t, survivor)
	}
	s.buckets[b] = slices.DeleteFunc(s.buckets[b], func(t *template) bool { return t.into != nil })
	s.sweepIfNeeded()
	return survivor
}

// absorb marks t as merged into survivor and adds up their counts. The caller
// takes t out of its bucket.
func (s *service) absorb(t, survivor *template) {
	survivor.count += t.count
	survivor.dirty = true
	survivor.window += t.window
	survivor.severity = max(survivor.severity, t.severity)
	survivor.first = min(survivor.first, t.first)
	survivor.last = max(survivor.last, t.last)
	survivor.active = max(survivor.active, t.active)
	t.into = survivor
	s.account(-t.bytes() - 3*len(t.stats))
	t.line, t.words, t.places, t.stats, t.versions, t.params = "", nil, nil, nil, nil, nil
	s.merged = append(s.merged, t)
	s.live--
	s.merges++
	s.rates.drop(t)
	s.onMerged(t.id, survivor.id)
}

// compact makes room in a full bucket by generalising it.
func (s *service) compact(b uint64) {
	losers, survivors := compact(s.buckets[b])
	for k, t := range losers {
		s.absorb(t, survivors[k])
	}
	s.buckets[b] = slices.DeleteFunc(s.buckets[b], func(t *template) bool { return t.into != nil })
	s.sweepIfNeeded()
}

// makeRoom retires templates when there are too many, or they hold too much
// memory. keep stays.
func (s *service) makeRoom(keep *template) {
	if s.live <= s.cfg.MaxTemplates && s.bytes <= s.cfg.MaxBytes && !s.shared.exceeded(s.bytes) {
		return
	}
	s.retireTenth(keep)
}

// retireTenth retires the least recently used tenth of the templates, but not
// keep, which may be nil.
func (s *service) retireTenth(keep *template) {
	used := make([]uint64, 0, s.live)
	for _, t := range s.templates {
		if t != nil && t.into == nil {
			used = append(used, t.used)
		}
	}
	slices.Sort(used)
	limit := used[len(used)/10]
	for _, t := range s.templates {
		if t != nil && t.into == nil && t != keep && t.used <= limit {
			s.retire(t)
		}
	}
	s.sweep()
}

// retire forgets a template. Its slot is freed by the sweep that must follow.
func (s *service) retire(t *template) {
	bucket := s.buckets[t.bucket]
	if k := slices.Index(bucket, t); k >= 0 {
		bucket = slices.Delete(bucket, k, k+1)
	}
	if len(bucket) == 0 {
		delete(s.buckets, t.bucket)
	} else {
		s.buckets[t.bucket] = bucket
	}
	s.account(-t.bytes() - 3*len(t.stats))
	s.templates[t.slot] = nil
	s.free = append(s.free, t.slot)
	t.slot = noSlot
	s.live--
	s.retired++
	s.rates.drop(t)
	delete(s.ids, t.id)
}

func (s *service) sweepIfNeeded() {
	if len(s.merged) >= 1024 {
		s.sweep()
	}
}

// sweep rewrites the cache so that no slot of a merged or retired template is
// in it, and frees the slots of the merged. Slots that retire freed are reused
// only after it.
func (s *service) sweep() {
	s.cache.rewrite(func(slot uint32) (uint32, bool) {
		t := s.templates[slot]
		if t == nil {
			return 0, false
		}
		slot = t.live().slot
		return slot, slot != noSlot
	})
	for _, t := range s.merged {
		s.templates[t.slot] = nil
		s.free = append(s.free, t.slot)
		delete(s.ids, t.id)
	}
	s.merged = s.merged[:0]
}
