package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Schedule says which receiver is on call: they follow each other, a number of
// weeks each, from a first handover on. Handovers follow the wall clock through
// changes of summer time.
type Schedule struct {
	Name      string     `yaml:"name"`
	Timezone  string     `yaml:"timezone"` // IANA name
	Start     string     `yaml:"start"`    // first handover, 2006-01-02 15:04 in that zone
	Weeks     int        `yaml:"weeks"`    // of each; 0 is 1
	Rotation  []string   `yaml:"rotation"` // receivers
	Overrides []Override `yaml:"overrides"`
}

// Override puts somebody else on call for a while. Of several the last counts.
type Override struct {
	From     string `yaml:"from"` // as Start
	To       string `yaml:"to"`   // not included
	Receiver string `yaml:"receiver"`
}

// Escalation is who is told next while nobody acknowledges.
type Escalation struct {
	Name   string  `yaml:"name"`
	Levels []Level `yaml:"levels"` // the first is told at once
}

// Level is one step of an escalation.
type Level struct {
	After     model.Duration `yaml:"after"`     // since the incident was told; of the first it is 0
	Receivers []string       `yaml:"receivers"` // or schedules
}

const wallClock = "2006-01-02 15:04"

type schedule struct {
	zone      *time.Location
	start     time.Time
	weeks     int
	rotation  []string
	overrides []override
}

type override struct {
	from, to int64
	receiver string
}

func (p *Policy) compileSchedules(bad report) {
	for i, c := range p.cfg.Schedules {
		key := fmt.Sprintf("schedules[%d]", i)
		s := &schedule{weeks: max(c.Weeks, 1), rotation: c.Rotation}
		var err error
		if s.zone, err = time.LoadLocation(c.Timezone); err != nil {
			bad(key+".timezone", "%q is not a time zone", c.Timezone)
			continue
		}
		parse := func(key, text string) time.Time {
			t, err := time.ParseInLocation(wallClock, text, s.zone)
			if err != nil {
				bad(key, "%q is not a time like 2026-01-05 09:00", text)
			}
			return t
		}
		s.start = parse(key+".start", c.Start)
		if c.Name == "" || p.schedules[c.Name] != nil || slices.Contains(p.receivers, c.Name) {
			bad(key+".name", "%q is empty or taken", c.Name)
		}
		if len(c.Rotation) == 0 {
			bad(key+".rotation", "must name at least one receiver")
		}
		names := slices.Clone(c.Rotation)
		for j, o := range c.Overrides {
			k := fmt.Sprintf("%s.overrides[%d]", key, j)
			x := override{parse(k+".from", o.From).UnixMilli(), parse(k+".to", o.To).UnixMilli(), o.Receiver}
			if x.to <= x.from {
				bad(k, "must end after it begins")
			}
			names = append(names, o.Receiver)
			s.overrides = append(s.overrides, x)
		}
		for _, n := range names {
			if !slices.Contains(p.receivers, n) {
				bad(key, "there is no receiver %q", n)
			}
		}
		p.schedules[c.Name] = s
	}
}

// at is who is on call at t (Unix ms); before the first handover it is the
// first of the rotation.
func (s *schedule) at(t int64) string {
	for _, o := range slices.Backward(s.overrides) {
		if t >= o.from && t < o.to {
			return o.receiver
		}
	}
	when := time.UnixMilli(t).In(s.zone)
	// Days between the dates, less one before the hour of the handover.
	days := int(date(when).Sub(date(s.start)).Hours() / 24)
	if h, m, sec := when.Clock(); h*3600+m*60+sec < s.start.Hour()*3600+s.start.Minute()*60 {
		days--
	}
	if days < 0 {
		return s.rotation[0]
	}
	return s.rotation[days/(7*s.weeks)%len(s.rotation)]
}

func date(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// OnCall is one schedule and who has it.
type OnCall struct {
	Schedule string `json:"schedule"`
	Receiver string `json:"receiver"`
}

// OnCall lists who is on call at t (Unix ms).
func (p *Policy) OnCall(t int64) []OnCall {
	out := []OnCall{}
	for _, s := range p.cfg.Schedules {
		out = append(out, OnCall{s.Name, p.schedules[s.Name].at(t)})
	}
	return out
}

func (p *Policy) compileEscalations(bad report, known func(string, []string)) {
	for i, e := range p.cfg.Escalations {
		key := fmt.Sprintf("escalations[%d]", i)
		if e.Name == "" || p.escalation(e.Name) != &p.cfg.Escalations[i] {
			bad(key+".name", "%q is empty or taken", e.Name)
		}
		if len(e.Levels) == 0 {
			bad(key+".levels", "must have at least one")
		}
		for j, l := range e.Levels {
			k := fmt.Sprintf("%s.levels[%d]", key, j)
			known(k+".receivers", l.Receivers)
			if len(l.Receivers) == 0 {
				bad(k+".receivers", "must name at least one")
			}
			if j == 0 && l.After != 0 || j > 0 && l.After <= e.Levels[j-1].After {
				bad(k+".after", "the first is 0, each later one longer than the one before")
			}
		}
	}
}

func (p *Policy) escalation(name string) *Escalation {
	for i := range p.cfg.Escalations {
		if p.cfg.Escalations[i].Name == name {
			return &p.cfg.Escalations[i]
		}
	}
	return nil
}

// Escalate gives the step of an escalation that is due at now for an incident
// that was told at opened and is at step, and who is to be told then. The step
// is unchanged when none is due, or the configuration has no such escalation.
func (p *Policy) Escalate(name string, step int, opened, now int64) (next int, receivers []string) {
	e := p.escalation(name)
	if e == nil {
		return step, nil
	}
	for step+1 < len(e.Levels) && now-opened >= ms(e.Levels[step+1].After) {
		step++
		receivers = append(receivers, e.Levels[step].Receivers...)
	}
	return step, p.onCall(receivers, now)
}

type clockTime struct {
	zone         *time.Location
	hour, minute int
	weekly       bool
	day          time.Weekday
}

func (d Digest) compile(bad report) clockTime {
	c := clockTime{weekly: d.Every == "weekly"}
	if d.Every != "daily" && d.Every != "weekly" {
		bad("digest.every", "%q is not one of daily, weekly", d.Every)
	}
	at, err := time.Parse("15:04", d.At)
	if err != nil {
		bad("digest.at", "%q is not HH:MM", d.At)
	}
	c.hour, c.minute = at.Hour(), at.Minute()
	if c.zone, err = time.LoadLocation(d.Timezone); err != nil {
		bad("digest.timezone", "%q is not a time zone", d.Timezone)
		c.zone = time.UTC
	}
	day := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, strings.ToLower(d.Day))
	if day < 0 {
		bad("digest.day", "%q is not one of mon, tue, wed, thu, fri, sat, sun", d.Day)
	}
	c.day = time.Weekday(day)
	return c
}

// LastDigest is the newest moment at or before now (Unix ms) at which a digest
// was due.
func (p *Policy) LastDigest(now int64) int64 {
	c := p.digest
	t := time.UnixMilli(now).In(c.zone)
	for back := range 9 {
		y, m, d := t.Date()
		due := time.Date(y, m, d-back, c.hour, c.minute, 0, 0, c.zone)
		if due.UnixMilli() <= now && (!c.weekly || due.Weekday() == c.day) {
			return due.UnixMilli()
		}
	}
	return 0
}
