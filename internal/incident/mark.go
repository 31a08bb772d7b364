package incident

import "github.com/norn-aiops/norn/internal/ops"

// Mark notes who's verdict on an incident, in any state; an empty one takes it
// back.
func (c *Correlator) Mark(id string, now int64, who string, mark ops.Mark) (ops.Incident, error) {
	return c.byPerson(id, now, func(g *group) error {
		g.in.Mark = mark
		g.tell(MarkEvent(now, who, mark))
		return nil
	})
}

// MarkEvent is the line of the timeline about a mark.
func MarkEvent(now int64, who string, mark ops.Mark) ops.Event {
	text := "marked as " + string(mark)
	if mark == "" {
		text = "mark taken back"
	}
	return ops.Event{Time: now, Kind: "marked", Text: said(who, text)}
}
