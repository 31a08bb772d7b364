package logmine

import "sync/atomic"

// budget bounds what all services hold together, so that many services that
// are flooded at once cannot take the memory of the process. While the total
// is below the limit, a service is bounded by its own limits only; above it,
// none may hold more than an equal share. Safe for concurrent use.
type budget struct {
	limit    int64
	total    atomic.Int64 // estimated bytes of templates and pattern tables
	services atomic.Int64
}

// exceeded reports whether a service that holds n bytes must give some up.
func (b *budget) exceeded(n int) bool {
	return b.total.Load() > b.limit && int64(n) > b.limit/max(1, b.services.Load())
}

// account notes that the service's templates hold n bytes more.
func (s *service) account(n int) {
	s.bytes += n
	s.shared.total.Add(int64(n))
}

// accountCache brings what the total says of the pattern table up to date.
func (s *service) accountCache() {
	n := s.cache.bytes()
	s.shared.total.Add(int64(n - s.cacheBytes))
	s.cacheBytes = n
}

// shrink gives up memory while the services together hold too much and this
// one more than its share: first the pattern table, which comes back by
// itself, then the templates that were not used for longest.
func (s *service) shrink() {
	s.accountCache()
	if !s.shared.exceeded(s.bytes + s.cacheBytes) {
		return
	}
	s.cache = cache{}
	s.accountCache()
	for s.live > 1 && s.shared.exceeded(s.bytes) {
		s.retireTenth(nil)
	}
}
