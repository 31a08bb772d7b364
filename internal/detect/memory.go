package detect

import "unsafe"

// mapEntry is what a series costs in its shard's map: key, pointer, control
// byte, and the map's free room.
const mapEntry = 36

// StateBytes is the memory that the state of all series takes: detectors,
// warm-ups, open anomalies and map entries. The series' descriptions are not
// counted: they belong to the caller.
func (e *Engine) StateBytes() int {
	total := 0
	e.each(func(s *series) bool {
		total += int(unsafe.Sizeof(*s)) + mapEntry + 4*cap(s.det.warm)
		if s.det.shape != nil {
			total += int(unsafe.Sizeof(*s.det.shape))
		}
		for _, r := range s.reports() {
			if r != nil {
				total += int(unsafe.Sizeof(*r)) + len(r.a.ID)
			}
		}
		return true
	})
	return total
}
