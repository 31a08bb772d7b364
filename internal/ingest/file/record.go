package file

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// streamConfig reads structured lines with the keys that all receivers know.
// ref is about when the lines were written.
func streamConfig(format string, clock logread.Clock, ref int64) logread.Config {
	dec := new(ingest.JSONLogs)
	none := time.Unix(0, 0) // a record without a time has none
	return logread.Config{
		Format: format, Clock: clock, Ref: ref,
		JSON: func(doc string) (telemetry.LogRecord, bool) {
			rec, ref := dec.Parse([]byte(doc), none)
			return rec, ref == nil
		},
		Fields: func(attrs []telemetry.Attr) (telemetry.LogRecord, bool) {
			rec, ref := dec.Fields(attrs, none)
			return rec, ref == nil
		},
	}
}

// labelRecord says which file a record is from and where it stood.
func labelRecord(rec *telemetry.LogRecord, id, path string, at int64) {
	rec.Source, rec.Retryable, rec.Observed = protocol, true, 0
	rec.Attributes = append(rec.Attributes,
		telemetry.Attr{Key: attrID, Value: id}, telemetry.Attr{Key: attrName, Value: path},
		telemetry.Attr{Key: attrOffset, Value: strconv.FormatInt(at, 10)})
	rec.Attributes = ingest.SortAttrs(rec.Attributes)
}

// setService names the service: always when the operator said so, else when
// the record does not name one itself.
func setService(rec *telemetry.LogRecord, service string, always bool) {
	has := telemetry.Get(rec.Resource, "service.name") != "" || telemetry.Get(rec.Resource, "syslog.appname") != ""
	if has && !always {
		return
	}
	rec.Resource = slices.DeleteFunc(slices.Clone(rec.Resource), func(a telemetry.Attr) bool {
		return strings.HasPrefix(a.Key, "service.name")
	})
	rec.Resource = ingest.SortAttrs(append(rec.Resource, telemetry.Attr{Key: "service.name", Value: service}))
}
