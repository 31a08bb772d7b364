package ops

import "github.com/norn-aiops/norn/internal/telemetry"

// Change kinds of a notification: why people are told.
const (
	NoticeOpened       = "opened"
	NoticeReopened     = "reopened"
	NoticeCause        = "cause_changed"
	NoticeSeverity     = "severity_raised"
	NoticeAcknowledged = "acknowledged" // or mitigating; only where a message is edited or a machine reads
	NoticeEscalated    = "escalated"
	NoticeResolved     = "resolved"
	NoticeDigest       = "digest"
	NoticeTest         = "test"
)

// States of a delivery.
const (
	DeliveryQueued = "queued" // waits for its turn, or for its channel to come back
	DeliverySent   = "sent"   // the channel took it
	DeliveryFailed = "failed" // refused for good, or given up
	DeliveryHeld   = "held"   // by a silence, a maintenance window, an inhibition
	DeliveryDigest = "digest" // waits for the next digest
	DeliveryTold   = "told"   // was in a digest
)

// Message is what people are told about one incident at one moment.
type Message struct {
	Incident string           `json:"incident_id,omitempty"`
	Change   string           `json:"change"` // opened, cause_changed, severity_raised, ...
	Title    string           `json:"title"`
	Sentence string           `json:"sentence"` // the cause
	State    State            `json:"state,omitempty"`
	Severity Level            `json:"severity,omitempty"`
	Grounds  string           `json:"severity_text,omitempty"`
	Team     string           `json:"team,omitempty"`
	Root     telemetry.Entity `json:"root"`
	Impact   string           `json:"impact,omitempty"`
	Evidence []string         `json:"evidence,omitempty"` // at most three lines, strongest first
	Changes  []string         `json:"changes,omitempty"`  // what was changed about then
	Action   string           `json:"action,omitempty"`   // what to try first; "" when nothing is known
	Lines    []string         `json:"lines,omitempty"`    // of a digest
	Onset    int64            `json:"onset_unix_ms,omitempty"`
	Resolved int64            `json:"resolved_unix_ms,omitempty"`
	Link     string           `json:"link,omitempty"`  // the incident in the console
	Chart    string           `json:"chart,omitempty"` // PNG of the cause's series
}

// Delivery is one message to one receiver. Its ID is the key that keeps it from
// being sent twice: the same change of the same incident to the same receiver
// has the same ID.
type Delivery struct {
	ID       string  `json:"id"`
	Receiver string  `json:"receiver"`
	Channel  string  `json:"channel"`
	Incident string  `json:"incident_id,omitempty"`
	State    string  `json:"state" enum:"queued,sent,failed,held,digest,told"`
	Why      string  `json:"why,omitempty"`   // it is held or was escalated
	Error    string  `json:"error,omitempty"` // of the last attempt, without secrets
	Attempts int     `json:"attempts"`
	Created  int64   `json:"created_unix_ms"`
	Due      int64   `json:"due_unix_ms"`   // of the next attempt
	Sent     int64   `json:"sent_unix_ms"`  // 0 while not sent
	Ref      string  `json:"ref,omitempty"` // the channel's name for the message, by which later ones edit it or thread to it
	Message  Message `json:"message"`
}

// Notice is what has been told about one incident.
type Notice struct {
	Incident  string   `json:"incident_id"`
	State     State    `json:"state"`
	Level     Level    `json:"severity_level"`
	Root      string   `json:"root"`
	Receivers []string `json:"receivers"`        // who were told
	Times     int      `json:"times"`            // how many changes
	Updated   int64    `json:"updated_unix_ms"`  // when people were told last
	Opened    int64    `json:"opened_unix_ms"`   // when they were told first, or again after it came back
	Policy    string   `json:"policy,omitempty"` // escalation
	Step      int      `json:"step"`             // of the escalation that was reached
}
