package elastic

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fastjson"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// action is one line pair of a bulk request and what became of it.
type action struct {
	op, index, id string
	givenID       bool
	source        []byte
	refused       *ingest.Refusal
	status        int
}

// item is the answer to one action.
type item struct {
	Index   string     `json:"_index"`
	ID      string     `json:"_id"`
	Version int        `json:"_version,omitempty"`
	Result  string     `json:"result,omitempty"`
	Shards  *shards    `json:"_shards,omitempty"`
	SeqNo   int        `json:"_seq_no"`
	Term    int        `json:"_primary_term,omitempty"`
	Status  int        `json:"status"`
	Error   *errorBody `json:"error,omitempty"`
}

type shards struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

func (h *Handler) bulk(w http.ResponseWriter, r *http.Request, index string) {
	begin := h.opts.Now()
	if err := contentType(r); err != nil {
		h.refuseRequest(w, err)
		return
	}
	body, err := ingest.ReadBody(r, h.limits.Bytes)
	if err != nil {
		h.refuseRequest(w, err)
		return
	}
	actions, err := split(body, index, h.limits.Batch)
	if err != nil {
		h.refuseRequest(w, err)
		return
	}
	if len(actions) == 0 {
		h.refuse(w, http.StatusBadRequest, "empty", "parse_exception", "request body is required")
		return
	}
	recs, at := h.records(actions, ingest.PeerHost(r.RemoteAddr), begin)
	if len(recs) > 0 {
		res, err := h.opts.Sink.Logs(r.Context(), recs)
		if err != nil {
			h.opts.Counters.Items(protocol, ingest.OutcomeFailed, len(recs))
			h.tryAgain(w, err)
			return
		}
		h.opts.Counters.Result(protocol, res)
		for _, rej := range res.Rejected {
			if rej.Index >= 0 && rej.Index < len(at) {
				actions[at[rej.Index]].refused = &ingest.Refusal{Code: rej.Reason, Detail: rej.Detail}
			}
		}
	}
	h.answer(w, actions, begin)
}

// tryAgain answers 503 in plain text, as a proxy before Elasticsearch would.
// Shippers go by the status; but rsyslog's omelasticsearch before 8.2604 takes
// any error in JSON for the data's fault and drops the batch, whatever the
// status, while it retries after an answer that is not JSON.
func (h *Handler) tryAgain(w http.ResponseWriter, err error) {
	h.opts.Counters.Reason(protocol, "not_durable", 1)
	w.Header().Set("Retry-After", "1")
	http.Error(w, "service unavailable: store log records: "+ingest.Clean(err.Error()), http.StatusServiceUnavailable)
}

// records turns the good actions into log records; at maps their indexes back.
func (h *Handler) records(actions []action, from string, now time.Time) (recs []telemetry.LogRecord, at []int) {
	parser := h.parse.Get().(*ingest.JSONLogs)
	defer h.parse.Put(parser)
	for i := range actions {
		a := &actions[i]
		if a.refused == nil {
			rec, ref := parser.Parse(a.source, now)
			if ref == nil {
				rec.Source, rec.Sender, rec.Retryable = protocol, from, true
				rec.Attributes = a.mark(rec.Attributes)
				ref = h.limits.CheckRecord(&rec)
			}
			if a.refused = ref; ref == nil {
				recs, at = append(recs, rec), append(at, i)
			}
		}
		if a.refused != nil {
			h.opts.Counters.Reject(protocol, a.refused.Code, 1)
		}
		if a.id == "" {
			a.id = strconv.FormatInt(h.idBase, 36) + strconv.FormatUint(h.ids.Add(1), 36)
		}
	}
	return recs, at
}

// mark keeps the index, and the identity that the sender gave: two equal lines
// with different ids are two lines.
func (a *action) mark(attrs []telemetry.Attr) []telemetry.Attr {
	if a.index != "" {
		attrs = append(attrs, telemetry.Attr{Key: "elastic.index", Value: a.index})
	}
	if a.givenID {
		attrs = append(attrs, telemetry.Attr{Key: "elastic.id", Value: a.id})
	}
	return ingest.SortAttrs(attrs)
}

func (h *Handler) answer(w http.ResponseWriter, actions []action, begin time.Time) {
	items := make([]map[string]item, len(actions))
	failed := false
	for i := range actions {
		a := &actions[i]
		it := item{Index: a.index, ID: a.id, Status: http.StatusCreated}
		if a.refused != nil {
			failed = true
			it.Status = a.status
			if it.Status == 0 {
				it.Status = http.StatusBadRequest
			}
			it.Error = &errorBody{esType(a.refused.Code), a.refused.Detail}
		} else {
			it.Version, it.Result, it.Term, it.Shards = 1, "created", 1, &shards{1, 1, 0}
		}
		items[i] = map[string]item{a.op: it}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"took": h.opts.Now().Sub(begin).Milliseconds(), "errors": failed, "items": items,
	})
}

// esType names a reason as Elasticsearch would.
func esType(reason string) string {
	switch reason {
	case "bad_json", "bad_timestamp", "empty":
		return "document_parsing_exception"
	}
	return "illegal_argument_exception"
}

// split reads the line pairs of a bulk body. What breaks the pairing breaks the
// whole request, as in Elasticsearch: nothing is stored then.
func split(body []byte, index string, limit int) ([]action, error) {
	var out []action
	var parser fastjson.Parser
	bad := func(line int, format string, args ...any) error {
		text := fmt.Sprintf("Malformed action/metadata line [%d], ", line) + fmt.Sprintf(format, args...)
		return &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_action_line", Err: fmt.Errorf("%s", ingest.Clean(text))}
	}
	for line := 1; len(body) > 0; line++ {
		var text []byte
		if text, body = cutLine(body); len(text) == 0 {
			continue
		}
		if len(out) >= limit {
			return nil, &ingest.RequestError{Status: http.StatusRequestEntityTooLarge, Reason: "batch_too_large",
				Err: fmt.Errorf("more than %d items in one request", limit)}
		}
		v, err := parser.ParseBytes(text)
		if err != nil {
			return nil, bad(line, "expected a JSON object: %.200s", err)
		}
		a, err := readAction(v, index)
		if err != nil {
			return nil, bad(line, "%s", err)
		}
		switch {
		case a.op == "delete":
			a.refuse("delete is not supported: Norn only takes logs in")
		case len(body) == 0:
			a.refuse("the action has no document")
		default:
			line++
			a.source, body = cutLine(body)
			if a.op == "update" {
				a.refuse("update is not supported: Norn only takes logs in")
			}
		}
		out = append(out, a)
	}
	return out, nil
}

func (a *action) refuse(detail string) {
	a.refused, a.status = &ingest.Refusal{Code: "unsupported_action", Detail: detail}, http.StatusBadRequest
}

func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	return bytes.TrimSpace(line), rest
}

func readAction(v *fastjson.Value, index string) (a action, err error) {
	obj, err := v.Object()
	if err != nil || obj.Len() != 1 {
		return a, fmt.Errorf("expected an object with one action, got %s", v.Type())
	}
	a.index = index
	obj.Visit(func(k []byte, meta *fastjson.Value) {
		switch a.op = string(k); a.op {
		case "index", "create", "update", "delete":
		default:
			err = fmt.Errorf("expected index, create, update or delete, got %.50q", k)
			return
		}
		if meta.Type() != fastjson.TypeObject {
			err = fmt.Errorf("expected an object for %s, got %s", a.op, meta.Type())
			return
		}
		if s := meta.GetStringBytes("_index"); len(s) > 0 {
			a.index = ingest.Clean(string(s))
		}
		if id := meta.Get("_id"); id != nil && id.Type() != fastjson.TypeNull {
			a.givenID = true
			if a.id = ingest.Clean(string(id.GetStringBytes())); a.id == "" {
				a.id = ingest.Clean(id.String())
			}
		}
	})
	if len(a.index) > 255 || len(a.id) > 512 {
		err = fmt.Errorf("index or id is too long")
	}
	return a, err
}
