// Package stats holds the pure numerics that several stages share: quantiles
// of slices, streaming quantiles, hashing of symbols, empirical p-values.
//
// It exists so that every formula is written once, with its preconditions and
// its source beside it. It knows nothing of series, entities or time zones,
// keeps no state of its own and never allocates behind the caller's back
// unless it says so. Functions are safe for concurrent use; the streaming
// types are plain values that belong to one goroutine at a time.
package stats
