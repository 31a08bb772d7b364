package ladder

// Governor says when series must step down, and when they may step up again.
// The zero value has not seen anything.
type Governor struct {
	cpu   float64 // smoothed share of the budget
	seen  bool
	calm  int64 // Unix ms since when there has been room
	moved int64 // Unix ms of the last steps down
}

// Use is what detection uses, as a share of what it may; 0 where there is no
// bound.
type Use struct {
	Bytes, CPU float64
}

const (
	high     = 1.  // share of the budget from which series step down
	aim      = .9  // to which they do
	low      = .8  // below which they may step up
	calmFor  = 600 // seconds that it must have been below
	smoothed = .3  // weight of a new reading of processor time
)

// Order is what is to be done now.
type Order struct {
	Down bool // use must fall to the target
	Up   bool // use may rise to the target
	// Bytes and CPU are the targets, as shares of the budget; 0 where there
	// is none.
	Bytes, CPU float64
	ShortBytes bool // memory is what is short
	ShortCPU   bool
}

// Govern takes what is used at now (Unix ms). reduced says that series have
// stepped down.
func (g *Governor) Govern(now int64, u Use, reduced bool) Order {
	if !g.seen {
		g.cpu, g.seen, g.calm = u.CPU, true, now
	}
	g.cpu += smoothed * (u.CPU - g.cpu)
	var o Order
	o.ShortBytes, o.ShortCPU = u.Bytes > high, g.cpu > high && u.CPU > high
	if u.Bytes > 0 {
		o.Bytes = aim
	}
	if u.CPU > 0 || g.cpu > 1e-9 {
		o.CPU = aim
	}
	if o.ShortBytes || o.ShortCPU {
		g.calm, g.moved, o.Down = now, now, true
		return o
	}
	if u.Bytes >= low || g.cpu >= low {
		g.calm = now
	}
	o.Up = reduced && now-g.calm >= calmFor*1000 && now-g.moved >= calmFor*1000
	return o
}

// Smoothed is the smoothed share of the budget of processor time.
func (g *Governor) Smoothed() float64 { return g.cpu }
