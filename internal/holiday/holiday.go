// Package holiday says whether a civil date is a public holiday of a country.
//
// It exists so that what is expected of a series follows the calendar of the
// people who cause its load. It knows whole countries, not their regions. A
// [Calendar] is safe for concurrent use.
package holiday

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/ar"
	"github.com/rickar/cal/v2/at"
	"github.com/rickar/cal/v2/be"
	"github.com/rickar/cal/v2/bg"
	"github.com/rickar/cal/v2/br"
	"github.com/rickar/cal/v2/ca"
	"github.com/rickar/cal/v2/ch"
	"github.com/rickar/cal/v2/cz"
	"github.com/rickar/cal/v2/de"
	"github.com/rickar/cal/v2/dk"
	"github.com/rickar/cal/v2/es"
	"github.com/rickar/cal/v2/fr"
	"github.com/rickar/cal/v2/gb"
	"github.com/rickar/cal/v2/gr"
	"github.com/rickar/cal/v2/hr"
	"github.com/rickar/cal/v2/ie"
	"github.com/rickar/cal/v2/it"
	"github.com/rickar/cal/v2/jp"
	"github.com/rickar/cal/v2/lt"
	"github.com/rickar/cal/v2/lv"
	"github.com/rickar/cal/v2/nl"
	"github.com/rickar/cal/v2/no"
	"github.com/rickar/cal/v2/nz"
	"github.com/rickar/cal/v2/pl"
	"github.com/rickar/cal/v2/ro"
	"github.com/rickar/cal/v2/ru"
	"github.com/rickar/cal/v2/se"
	"github.com/rickar/cal/v2/si"
	"github.com/rickar/cal/v2/sk"
	"github.com/rickar/cal/v2/ua"
	"github.com/rickar/cal/v2/us"
	"github.com/rickar/cal/v2/za"
)

// Calendar knows the public holidays of one country.
type Calendar struct {
	list  []*cal.Holiday
	mu    sync.Mutex
	years map[int]map[int]string // by year, then by 100 x month + day
}

// yearsKept bounds what a Calendar remembers.
const yearsKept = 16

// New gives the calendar of a country by its two letters (ISO 3166-1), in
// either case; false when it is not known.
func New(country string) (*Calendar, bool) {
	list, ok := countries()[strings.ToUpper(country)]
	return &Calendar{list: list, years: map[int]map[int]string{}}, ok
}

// Countries lists the countries that are known.
func Countries() []string { return slices.Sorted(maps.Keys(countries())) }

// Name gives the name of the public holiday of a date, or of the one that is
// observed on it; "" when there is none.
func (c *Calendar) Name(year int, month time.Month, day int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	dates, ok := c.years[year]
	if !ok {
		if len(c.years) >= yearsKept {
			clear(c.years)
		}
		dates = c.year(year)
		c.years[year] = dates
	}
	return dates[100*int(month)+day]
}

func (c *Calendar) year(year int) map[int]string {
	dates := map[int]string{}
	for _, h := range c.list {
		for _, y := range [...]int{year - 1, year, year + 1} { // New Year may be observed in the year before
			actual, observed := h.Calc(y)
			for _, d := range [...]time.Time{actual, observed} {
				if !d.IsZero() && d.Year() == year {
					dates[100*int(d.Month())+d.Day()] = h.Name
				}
			}
		}
	}
	return dates
}

func countries() map[string][]*cal.Holiday {
	return map[string][]*cal.Holiday{
		"AR": ar.Holidays,
		"AT": at.Holidays,
		"BE": be.Holidays,
		"BG": bg.Holidays,
		"BR": br.Holidays,
		"CA": ca.Holidays,
		"CH": ch.Holidays,
		"CZ": cz.Holidays,
		"DE": de.Holidays,
		"DK": dk.Holidays,
		"ES": es.Holidays,
		"FR": fr.Holidays,
		"GB": gb.Holidays,
		"GR": gr.Holidays,
		"HR": hr.Holidays,
		"IE": ie.Holidays,
		"IT": it.Holidays,
		"JP": jp.Holidays,
		"LT": lt.Holidays,
		"LV": lv.Holidays,
		"NL": nl.Holidays,
		"NO": no.Holidays,
		"NZ": nz.Holidays,
		"PL": pl.Holidays,
		"RO": ro.Holidays,
		"RU": ru.Holidays,
		"SE": se.Holidays,
		"SI": si.Holidays,
		"SK": sk.Holidays,
		"UA": ua.Holidays,
		"US": us.Holidays,
		"ZA": za.Holidays,
	}
}
