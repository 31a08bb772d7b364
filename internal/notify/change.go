package notify

import "github.com/norn-aiops/norn/internal/ops"

// levels orders severities, worst first.
func rankOf(l ops.Level) int {
	for i, x := range [...]ops.Level{ops.LevelCritical, ops.LevelMajor, ops.LevelMinor, ops.LevelInfo} {
		if x == l {
			return i
		}
	}
	return 4
}

// sure is the confidence from which a new cause is worth a second message.
const sure = .5

// Change says what is new of an incident beside what was told (nil: nothing
// yet), "" when it is not worth a word now.
func (p *Policy) Change(in *ops.Incident, told *ops.Notice, now int64) string {
	active := in.State == ops.StateOpen || in.State == ops.StateAcknowledged || in.State == ops.StateMitigating
	ended := in.State == ops.StateResolved
	root, _ := rootOf(in)
	switch {
	case told == nil && active && now-in.Opened >= p.Wait():
		return ops.NoticeOpened
	case told == nil:
		return "" // not yet, or over before anybody was told
	case ended && told.State != ops.StateResolved:
		return ops.NoticeResolved
	case ended || !active:
		return ""
	case told.State == ops.StateResolved:
		return ops.NoticeReopened
	case rankOf(in.Level) < rankOf(told.Level):
		return ops.NoticeSeverity
	case in.State != told.State && in.State != ops.StateOpen:
		return ops.NoticeAcknowledged
	case !root.IsZero() && root.String() != told.Root && in.Confidence >= sure && now-told.Updated >= p.UpdateInterval():
		return ops.NoticeCause
	}
	return ""
}

// Note is what has been told once change is told.
func Note(in *ops.Incident, told *ops.Notice, change string, now int64) ops.Notice {
	n := ops.Notice{Incident: in.ID, Opened: now}
	if told != nil {
		n = *told
	}
	if change == ops.NoticeReopened {
		n.Opened, n.Step = now, 0
	}
	root, _ := rootOf(in)
	n.State, n.Level, n.Root, n.Updated = in.State, in.Level, root.String(), now
	n.Times++
	return n
}
