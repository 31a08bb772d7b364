package otlp

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// logCore passes the collector's log on to slog, one level lower (its "info" is
// our "debug"), and picks out the lines that tell the bound addresses.
type logCore struct {
	log       *slog.Logger
	listening func(server, addr string)
}

func newLogCore(log *slog.Logger, listening func(server, addr string)) zapcore.Core {
	return &logCore{log: log, listening: listening}
}

// Enabled implements [zapcore.LevelEnabler]; Info is always wanted because of
// the addresses.
func (c *logCore) Enabled(l zapcore.Level) bool { return l >= zapcore.InfoLevel }

// With implements [zapcore.Core].
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: c.log.With(attrsOf(fields)...), listening: c.listening}
}

// Check implements [zapcore.Core].
func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements [zapcore.Core].
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		switch {
		case f.Key != "endpoint":
		case e.Message == "Starting GRPC server":
			c.listening("gRPC", f.String)
		case e.Message == "Starting HTTP server":
			c.listening("HTTP", f.String)
		}
	}
	level := slog.LevelDebug
	switch {
	case e.Level >= zapcore.ErrorLevel:
		level = slog.LevelError
	case e.Level == zapcore.WarnLevel:
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "OTLP receiver", append(attrsOf(fields), "message", e.Message)...)
	return nil
}

// Sync implements [zapcore.Core].
func (c *logCore) Sync() error { return nil }

func attrsOf(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	out := make([]any, 0, len(fields))
	for _, f := range fields {
		f.AddTo(enc)
	}
	for k, v := range enc.Fields {
		out = append(out, slog.Any(k, v))
	}
	return out
}
