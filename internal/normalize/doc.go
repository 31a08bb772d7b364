// Package normalize gives everything that arrives one meaning: who it is about
// (entities), in which unit, at which time, how severe, and free of secrets.
//
// It exists so that no later stage needs to know which protocol, agent or
// naming habit a value came from. It turns raw metric samples into the points
// that detection watches (counters to rates, histograms to quantiles), and
// makes log records, spans and alerts uniform. It does not store, judge or do
// I/O, and knows no clock: times are arguments.
//
// The main types are [Deriver] for metrics and [LogNormalizer] for logs, spans
// and alerts; [Cumulator] unifies OTLP temporality before storage. All of them
// are safe for concurrent use and hold bounded state. [EntityOf] and
// [EntityOfLabels] are pure functions.
package normalize
