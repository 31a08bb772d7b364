package season

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// ErrState says that bytes are not the state of a Tracker.
var ErrState = errors.New("not the state of a season")

// saved is a week as a snapshot holds it.
type saved struct {
	Trial   trial
	First   int64
	Sum     float32
	Count   uint16
	Squares [3]float32
	Hours   uint16
	Holiday [7]float32
	Feasts  uint16
	Bins    [weekBins]float32
	Visits  [weekBins]uint8
	Special [specialDays]special
}

type savedCycle struct {
	Trial         trial
	Period        float64
	Origin, First int64
	Sum           float32
	Count         uint16
	Now, K        uint8
	Smooth        bool
	Bins          [cycleBins]float32
	Visits        [cycleBins]uint8
}

// Append writes the state behind b, in a form that Read understands.
func (s *Tracker) Append(b []byte) ([]byte, error) {
	var have byte
	list := []any{&s.head, &s.past}
	if w := s.week; w != nil {
		have |= 1
		list = append(list, &saved{w.trial, w.First, w.Sum, w.Count, w.Squares, w.Hours, w.Holiday, w.Feasts, w.Bins, w.Visits, w.Special})
	}
	for i, c := range s.cycles {
		if c != nil {
			have |= 2 << i
			list = append(list, &savedCycle{c.trial, c.Period, c.Origin, c.First, c.Sum, c.Count, c.Now, c.K, c.Smooth, c.Bins, c.Visits})
		}
	}
	b = append(b, have)
	var err error
	for _, v := range list {
		if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
			return b, fmt.Errorf("cannot write the season's state: %w", err)
		}
	}
	return b, nil
}

// Read takes the state from b, which Append has written. It returns ErrState,
// and leaves the Tracker as it was, when b is anything else.
func (s *Tracker) Read(b []byte) error {
	if len(b) < 1 || b[0] > 7 {
		return ErrState
	}
	have := b[0]
	b = b[1:]
	n := Tracker{cal: s.cal}
	take := func(v any) bool {
		k, err := binary.Decode(b, binary.LittleEndian, v)
		b = b[min(k, len(b)):]
		return err == nil
	}
	ok := take(&n.head) && take(&n.past)
	if ok && have&1 != 0 {
		var v saved
		ok = take(&v)
		n.week = &week{trial: v.Trial, First: v.First, Sum: v.Sum, Count: v.Count, Squares: v.Squares, Hours: v.Hours,
			Holiday: v.Holiday, Feasts: v.Feasts, Bins: v.Bins, Visits: v.Visits, Special: v.Special}
	}
	for i := range n.cycles {
		if ok && have&(2<<i) != 0 {
			var v savedCycle
			ok = take(&v)
			n.cycles[i] = &cycle{trial: v.Trial, Period: v.Period, Origin: v.Origin, First: v.First, Sum: v.Sum,
				Count: v.Count, Now: v.Now, K: v.K, Smooth: v.Smooth, Bins: v.Bins, Visits: v.Visits}
		}
	}
	if !ok || len(b) > 0 || !n.sound() {
		return ErrState
	}
	*s = n
	s.SetCalendar(s.cal)
	return nil
}

// sound says whether a state can have come about.
func (s *Tracker) sound() bool {
	h := &s.past
	if h.N > ringSize || h.Width < 0 || h.Width > 0 && !(h.Unit > 0) || isBad(h.Mid) || isBad(h.Sum) || s.Every < 0 {
		return false
	}
	if isBad(s.Shift) || !(s.ErrUse >= 0) || !(s.ErrRival >= 0) || isBad(s.Seen) || s.Live != (s.week != nil || s.cycles[0] != nil || s.cycles[1] != nil) {
		return false
	}
	fine := func(list ...float32) bool {
		for _, x := range list {
			if isBad(x) {
				return false
			}
		}
		return true
	}
	if w := s.week; w != nil && !(fine(w.Bins[:]...) && fine(w.Holiday[:]...) && fine(w.Squares[:]...) && fine(w.Special[0].Bins[:]...) &&
		fine(w.Special[1].Bins[:]...) && fine(w.With, w.Without, w.trial.Shift, w.Alone, w.trial.Seen, w.Sum)) {
		return false
	}
	for _, c := range s.cycles {
		if c != nil && !(c.Period >= 1 && c.Period < 1e13 && c.K > 0 && c.K <= cycleBins && c.Now < c.K &&
			fine(c.Bins[:]...) && fine(c.With, c.Without, c.trial.Shift, c.Alone, c.trial.Seen, c.Sum)) {
			return false
		}
	}
	return true
}

// Bytes is the memory that the state takes.
func (s *Tracker) Bytes() int {
	n := int(unsafe.Sizeof(*s))
	if s.week != nil {
		n += int(unsafe.Sizeof(*s.week))
	}
	for _, c := range s.cycles {
		if c != nil {
			n += int(unsafe.Sizeof(*c))
		}
	}
	return n
}
