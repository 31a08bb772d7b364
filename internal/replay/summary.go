package replay

import (
	"fmt"
	"io"
)

// Summary is the result of a replay of a whole folder; JSON names are stable.
type Summary struct {
	Format         string        `json:"format"`
	Faults         int           `json:"faults"`
	Detected       int           `json:"detected"`
	Top1           int           `json:"top1"`
	Top3           int           `json:"top3"`
	FalseIncidents int           `json:"false_incidents"`
	Incidents      int           `json:"incidents"`
	Top1Share      float64       `json:"top1_share"`
	Top3Share      float64       `json:"top3_share"`
	Recordings     []Report      `json:"recordings"`
	Direct         *DirectReport `json:"direct,omitempty"` // the data set's own protocol, time and target given
}

// Add adds one recording.
func (s *Summary) Add(r Report) {
	s.Recordings = append(s.Recordings, r)
	s.Faults += r.Faults
	s.Detected += r.Detected
	s.Top1 += r.Top1
	s.Top3 += r.Top3
	s.FalseIncidents += r.FalseIncidents
	s.Incidents += r.Incidents
	if s.Faults > 0 {
		s.Top1Share, s.Top3Share = float64(s.Top1)/float64(s.Faults), float64(s.Top3)/float64(s.Faults)
	}
}

// Print writes the tables of all recordings and the totals.
func (s Summary) Print(w io.Writer) error {
	for i := range s.Recordings {
		if err := s.Recordings[i].Write(w); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(w, "\n%s: faults %d, detected %d, top-1 %d (%.0f %%), top-3 %d (%.0f %%), false incidents %d of %d\n",
		s.Format, s.Faults, s.Detected, s.Top1, 100*s.Top1Share, s.Top3, 100*s.Top3Share, s.FalseIncidents, s.Incidents); err != nil {
		return fmt.Errorf("write the replay's summary: %w", err)
	}
	if s.Direct == nil {
		return nil
	}
	return s.Direct.Write(w)
}
