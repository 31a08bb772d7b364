// Package api serves Norn's HTTP API and its web console.
//
// It exists so that the console, scripts and the command line read one
// documented interface: the OpenAPI document at /api/openapi.json is generated
// from the Go types here, and the console's TypeScript types from that
// document. It reads stores through their contracts and the running pipeline
// through [Live]; it judges nothing and takes no telemetry in (ingest does).
//
// A [Server] is safe for concurrent use. Main type: [Server].
package api

import "errors"

// ErrConflict is returned (wrapped) when a thing's state does not allow what
// was asked: an incident that is resolved cannot be acknowledged.
var ErrConflict = errors.New("conflict")
