package ingest

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// RequestError is a request that cannot be taken at all.
type RequestError struct {
	Status int    // HTTP
	Reason string // the counter's reason
	Err    error
}

// Error says what was wrong.
func (e *RequestError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *RequestError) Unwrap() error { return e.Err }

// ReadBody reads a request's body and takes off its Content-Encoding
// (identity, gzip, deflate or zstd). Both the bytes received and the bytes after
// decompression are bounded by limit. The error is a *[RequestError]: 413
// too_large, 415 unsupported_encoding or 400 bad_compression and
// truncated_body.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	raw := http.MaxBytesReader(nil, r.Body, limit)
	in, closer, err := decompressor(raw, r.Header.Get("Content-Encoding"), limit)
	if err != nil {
		return nil, bodyError(err)
	}
	defer closer()
	var buf bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= limit {
		buf.Grow(int(min(r.ContentLength, 1<<20)) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if n > limit {
		return nil, tooLarge(limit)
	}
	return buf.Bytes(), nil
}

func tooLarge(limit int64) *RequestError {
	return &RequestError{http.StatusRequestEntityTooLarge, "too_large", fmt.Errorf("request body is larger than %d bytes", limit)}
}

func bodyError(err error) error {
	var re *RequestError
	if errors.As(err, &re) {
		return re
	}
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return tooLarge(big.Limit)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return &RequestError{http.StatusRequestEntityTooLarge, "too_large", fmt.Errorf("decompress request body: %w", err)}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &RequestError{http.StatusBadRequest, "truncated_body", fmt.Errorf("request body ends too early: %w", err)}
	}
	return &RequestError{http.StatusBadRequest, "bad_compression", fmt.Errorf("read request body: %w", err)}
}

func decompressor(raw io.Reader, encoding string, limit int64) (io.Reader, func(), error) {
	nothing := func() {}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return raw, nothing, nil
	case "gzip", "x-gzip":
		zr, err := gzip.NewReader(raw)
		if err != nil {
			return nil, nil, err
		}
		return zr, func() { zr.Close() }, nil
	case "deflate":
		zr, err := zlib.NewReader(raw)
		if err != nil {
			return nil, nil, err
		}
		return zr, func() { zr.Close() }, nil
	case "zstd":
		// Encoders that stream declare a window of 8 MiB whatever the content.
		window := uint64(max(limit, 8<<20))
		zr, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(min(window, 1<<29)))
		if err != nil {
			return nil, nil, err
		}
		return zr, zr.Close, nil
	}
	return nil, nil, &RequestError{http.StatusUnsupportedMediaType, "unsupported_encoding",
		fmt.Errorf("content encoding %q is not supported; use identity, gzip, deflate or zstd", shorten(encoding))}
}
