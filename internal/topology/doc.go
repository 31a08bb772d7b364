// Package topology learns from spans who calls whom and how well: edges of the
// dependency graph, and rate, errors and durations of every entity, edge and
// operation as series like any other.
//
// It exists so that cause analysis has a graph and golden signals without any
// configuration. It does not store, detect or judge, and knows no clock: the
// time that passes is what Flush is told. The main type is [Builder], safe for
// concurrent use; its memory is bounded whatever the spans are.
//
// # Direction
//
// An edge points from what depends to what it depends on. A caller depends on
// its callee; a client on its database, cache or external service. A producer
// depends on the queue that it publishes to, and a consumer depends on the
// queue that it is fed from, so both edges point to the queue. Producer and
// consumer without a named queue are joined like client and server.
//
// # Windows
//
// A span counts in the window in which it ended (that of its callee's end when
// only the callee is known). A window is flushed when it ended at least the
// lag ago; spans that come later count in the oldest open window, and are
// counted as late.
package topology
