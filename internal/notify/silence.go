package notify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// Silence is one of Alertmanager's API v2: nobody is told of what matches all
// matchers while it is active.
type Silence struct {
	ID        string            `json:"id"`
	Matchers  []SilenceMatcher  `json:"matchers"`
	StartsAt  time.Time         `json:"startsAt"`
	EndsAt    time.Time         `json:"endsAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	CreatedBy string            `json:"createdBy"`
	Comment   string            `json:"comment"`
	Notes     map[string]string `json:"annotations,omitempty"`
}

// SilenceMatcher is one matcher in API v2's form.
type SilenceMatcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual,omitempty"` // left out: true
}

func (m SilenceMatcher) compile() (*labels.Matcher, error) {
	equal := m.IsEqual == nil || *m.IsEqual
	t := map[[2]bool]labels.MatchType{{false, true}: labels.MatchEqual, {false, false}: labels.MatchNotEqual,
		{true, true}: labels.MatchRegexp, {true, false}: labels.MatchNotRegexp}[[2]bool{m.IsRegex, equal}]
	return labels.NewMatcher(t, m.Name, m.Value)
}

// State is pending, active or expired at t.
func (s *Silence) State(t time.Time) string {
	switch {
	case !t.Before(s.EndsAt):
		return "expired"
	case t.Before(s.StartsAt):
		return "pending"
	}
	return "active"
}

func (s *Silence) compile() (labels.Matchers, error) {
	if len(s.Matchers) == 0 {
		return nil, errors.New("at least one matcher is needed")
	}
	var out labels.Matchers
	empty := true
	for _, m := range s.Matchers {
		c, err := m.compile()
		if err != nil {
			return nil, fmt.Errorf("matcher of %q: %w", m.Name, err)
		}
		if m.Name == "" {
			return nil, errors.New("a matcher has no name")
		}
		empty = empty && c.Matches("")
		out = append(out, c)
	}
	if empty {
		return nil, errors.New("at least one matcher must not match the empty value")
	}
	if !s.EndsAt.After(s.StartsAt) {
		return nil, errors.New("it must end after it starts")
	}
	return out, nil
}

// maxSilences bounds how many are kept; keepExpired is how long they are shown
// after they ended.
const (
	maxSilences = 1000
	keepExpired = 5 * 24 * time.Hour
)

// Silences is a set of silences. It is not safe for concurrent use.
type Silences struct {
	list []Silence
	made map[string]labels.Matchers
}

// NewSilences takes in what was kept. Those that cannot be understood are left
// out.
func NewSilences(list []Silence) *Silences {
	s := &Silences{made: map[string]labels.Matchers{}}
	for _, x := range list {
		if ms, err := x.compile(); err == nil {
			s.list, s.made[x.ID] = append(s.list, x), ms
		}
	}
	return s
}

// List gives all silences, the last to end first.
func (s *Silences) List() []Silence {
	out := slices.Clone(s.list)
	slices.SortStableFunc(out, func(a, b Silence) int { return b.EndsAt.Compare(a.EndsAt) })
	return out
}

// Get gives one silence.
func (s *Silences) Get(id string) (Silence, bool) {
	for _, x := range s.list {
		if x.ID == id {
			return x, true
		}
	}
	return Silence{}, false
}

// Put adds a silence, or replaces the one of the same ID, and drops those that
// ended long ago.
func (s *Silences) Put(x Silence, now time.Time) error {
	ms, err := x.compile()
	if err != nil {
		return err
	}
	s.list = slices.DeleteFunc(s.list, func(o Silence) bool { return o.ID == x.ID || now.Sub(o.EndsAt) > keepExpired })
	if len(s.list) >= maxSilences {
		return fmt.Errorf("there are %d silences, no more are kept", maxSilences)
	}
	s.list, s.made[x.ID] = append(s.list, x), ms
	return nil
}

// Expire ends a silence now. It reports whether there is one.
func (s *Silences) Expire(id string, now time.Time) bool {
	for i := range s.list {
		if s.list[i].ID == id {
			if now.Before(s.list[i].EndsAt) {
				s.list[i].EndsAt = now
			}
			if s.list[i].StartsAt.After(now) {
				s.list[i].StartsAt = now.Add(-time.Millisecond)
			}
			s.list[i].UpdatedAt = now
			return true
		}
	}
	return false
}

// Held names the silence that holds back what has these labels, nil when none
// does.
func (s *Silences) Held(ls model.LabelSet, now time.Time) *Silence {
	for i := range s.list {
		if s.list[i].State(now) == "active" && s.made[s.list[i].ID].Matches(ls) {
			return &s.list[i]
		}
	}
	return nil
}
