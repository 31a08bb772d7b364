package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"runtime/debug"

	"github.com/danielgtaylor/huma/v2"

	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/store"
)

// errBadRequest marks what the caller got wrong outside of query texts.
var errBadRequest = errors.New("bad request")

// statusOf is the one place where errors become HTTP status codes.
func statusOf(err error) int {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrBadQuery), errors.Is(err, errBadRequest), errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, remedy.ErrRefused):
		return http.StatusForbidden
	case errors.Is(err, ErrConflict):
		return http.StatusConflict
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return 499 // the client went away; nobody reads this
	}
	return http.StatusInternalServerError
}

// mapErrors turns a handler's error into problem+json (RFC 9457).
func mapErrors[I, O any](s *Server, h func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err == nil {
			return out, nil
		}
		if se, is := errors.AsType[huma.StatusError](err); is {
			return nil, se
		}
		code := statusOf(err)
		if code == http.StatusInternalServerError && ctx.Err() != nil {
			// Engines say in their own words that a query was broken off.
			code = statusOf(ctx.Err())
		}
		if code == http.StatusInternalServerError {
			s.log.Error("api request failed", slog.Any("error", err))
		}
		return nil, huma.NewError(code, err.Error())
	}
}

// writeProblem answers with problem+json outside of huma's handlers.
func writeProblem(w http.ResponseWriter, code int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	// A failed write means that the client is gone.
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Status: code, Title: http.StatusText(code), Detail: detail})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, http.StatusNotFound, fmt.Sprintf("no such endpoint: %s %s; see /api/openapi.json", r.Method, r.URL.Path))
}

// recoverPanics keeps a bug in one request from ending the process.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // the documented sentinel, never wrapped
				panic(v)
			}
			s.log.Error("bug: api handler panicked", slog.Any("panic", v), slog.String("path", r.URL.Path), slog.String("stack", string(debug.Stack())))
			writeProblem(w, http.StatusInternalServerError, "internal error; it was logged")
		}()
		next.ServeHTTP(w, r)
	})
}

// marshalJSON encodes like encoding/json, except that numbers which JSON
// cannot hold (NaN, infinities) become 0 instead of failing the whole answer.
// Values where the difference matters are pointers and null here already.
func marshalJSON(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if _, unsupported := errors.AsType[*json.UnsupportedValueError](err); unsupported {
		c := reflect.New(reflect.TypeOf(v)).Elem()
		c.Set(reflect.ValueOf(v))
		dropNonFinite(c)
		data, err = json.Marshal(c.Interface())
	}
	if err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// dropNonFinite sets NaN and infinities below v to 0. The values of responses
// belong to the API (stores return copies), so they may be changed.
func dropNonFinite(v reflect.Value) {
	switch v.Kind() {
	case reflect.Float64, reflect.Float32:
		if f := v.Float(); (math.IsNaN(f) || math.IsInf(f, 0)) && v.CanSet() {
			v.SetFloat(0)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			dropNonFinite(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			dropNonFinite(v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			dropNonFinite(v.Index(i))
		}
	}
}

// finite is v, or nil when JSON cannot hold it.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
