package season

import "time"

// Calendar says what civil time it is. The zero value is UTC without holidays.
// It is not changed after its first use, and then safe for concurrent use.
type Calendar struct {
	// Zone is the civil time that the users of the series live by.
	Zone *time.Location
	// Holiday names the holiday of a civil date, "" when it is none.
	Holiday func(year int, month time.Month, day int) string
}

// civil is what the calendar says of a moment.
type civil struct {
	hour    int   // of the day
	day     int   // of the week, 0 Monday
	from    int64 // Unix ms of the hour's begin
	special int   // last, first, or none
	holiday bool
}

// Kinds of days that stand out in a month.
const (
	lastDay = iota
	firstDay
	specialDays
	ordinary = -1
)

func (c *Calendar) at(t int64) civil {
	now := c.local(t)
	_, m, s := now.Clock()
	out := civil{
		hour: now.Hour(), day: (int(now.Weekday()) + 6) % 7, special: ordinary,
		from: t - int64(m*60_000+s*1000) - int64(now.Nanosecond()/1_000_000),
	}
	switch {
	case now.Day() == 1:
		out.special = firstDay
	case now.Day() >= 28 && time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC).Day() == 1:
		out.special = lastDay
	}
	out.holiday = c.holidayName(now) != ""
	return out
}

func (c *Calendar) local(t int64) time.Time {
	now := time.UnixMilli(t).UTC()
	if c.Zone != nil {
		now = now.In(c.Zone)
	}
	return now
}

func (c *Calendar) holidayName(now time.Time) string {
	if c.Holiday == nil {
		return ""
	}
	return c.Holiday(now.Date())
}
