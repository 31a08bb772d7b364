package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/bench/logs"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// BenchLogs runs a whole server with its receivers, for the benchmark of logs.
func BenchLogs(ctx context.Context, dir string) (logs.Target, error) {
	cfg := config.Default()
	cfg.Storage.Dir = dir
	const anyPort = "127.0.0.1:0"
	cfg.Server.Listen, cfg.Ingest.OTLP.GRPC, cfg.Ingest.OTLP.HTTP = anyPort, "", anyPort
	cfg.Ingest.Syslog.UDP, cfg.Ingest.Syslog.TCP, cfg.Ingest.Elastic.Listen = "", anyPort, anyPort
	a, err := New(ctx, Options{Config: cfg, Version: "bench", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return logs.Target{}, err
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- a.Run(run) }()
	return logs.Target{
		OTLP: a.Addr("otlp-http"), Syslog: a.Addr("syslog-tcp"), Elastic: a.Addr("elastic"), CPU: func() float64 { return processCPU().Seconds() },
		Searchable: func(ctx context.Context) (n int, err error) {
			err = a.stores.logs.SearchLogs(ctx, store.LogQuery{Query: "* | stats count() n"}, func(r store.Row) bool {
				n, err = strconv.Atoi(r["n"])
				return true
			})
			return n, err
		},
		Close: func() (int64, error) {
			stop()
			err := <-done
			size, sizeErr := sizeOf(filepath.Join(dir, "logs"), "spool")
			return size, errors.Join(err, sizeErr)
		},
	}, nil
}

// sizeOf adds up the files below dir, those of directories called but left out.
func sizeOf(dir, but string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.Contains(d.Name(), but) {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("cannot measure %s: %w", dir, err)
	}
	return n, nil
}

// BenchLogStore opens the stores and the API without receivers.
func BenchLogStore(ctx context.Context, dir string, now time.Time) (logs.Store, error) {
	o, err := NewOffline(ctx, dir, now.UnixMilli(), false, slog.New(slog.DiscardHandler))
	if err != nil {
		return logs.Store{}, err
	}
	return logs.Store{
		Add: func(ctx context.Context, recs []telemetry.LogRecord) error {
			for i := range recs {
				recs[i].Template, _ = o.Pipeline.Miner().Add(&recs[i])
			}
			_, err := o.Stores.Logs.AppendLogs(ctx, recs)
			return err
		},
		Settle: o.Stores.Logs.FlushLogs,
		API: api.New(api.Options{
			Live:    &live{pipe: o.Pipeline, registry: prometheus.NewRegistry(), log: slog.New(slog.DiscardHandler), started: now},
			Metrics: o.Stores.Metrics, Logs: o.Stores.Logs, Traces: o.Stores.Traces, State: o.Stores.State, Version: "bench",
			Now: func() time.Time { return now },
		}),
		Close: o.Close,
	}, nil
}
