package plan

import (
	"math"
	"time"
)

// Load gives the demand at one moment as a factor of the mean: a daily wave
// (quiet at four in the morning, busiest in the late afternoon), a second
// small wave around noon, and quieter weekends. The result lies between about
// 0.4 and 1.5. The time's own zone decides what the hour is.
func Load(t time.Time) float64 {
	h := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600
	day := 1 + 0.42*math.Cos(2*math.Pi*(h-16)/24) + 0.08*math.Cos(4*math.Pi*(h-12.5)/24)
	return day * weekday(t, h)
}

// weekday is the factor of the day of the week. It moves over within an hour
// around midnight so that no series jumps there.
func weekday(t time.Time, h float64) float64 {
	of := func(d time.Weekday) float64 {
		switch d {
		case time.Saturday:
			return 0.78
		case time.Sunday:
			return 0.7
		case time.Friday:
			return 1.06
		}
		return 1
	}
	d := t.Weekday()
	today := of(d)
	switch {
	case h < 0.5:
		return today + (of((d+6)%7)-today)*(0.5-h)
	case h > 23.5:
		return today + (of((d+1)%7)-today)*(h-23.5)
	}
	return today
}
