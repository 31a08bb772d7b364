package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest/file"
	"github.com/norn-aiops/norn/internal/logread"
)

type importLogsFlags struct {
	service, format, timezone           string
	server, token, config, data, output string
}

func importLogs() *cobra.Command {
	var f importLogsFlags
	c := &cobra.Command{
		Use: "logs PATH...", Short: "Bring in log files: plain, compressed, rotated, of any format", Args: cobra.MinimumNArgs(1),
		Long: `Reads files, folders and patterns ("-" is standard input), plain or compressed
(gzip, zstandard, bzip2, xz), and brings their lines in as history: they are
stored and searched like others and teach the miner what is normal; they raise
no alarm and count in no rate. Rotated files come oldest first.

The header of the lines is learned (time stamps in any usual form, level, host,
component), access logs (Apache, nginx, IIS), JSON, logfmt, CSV and container
logs are recognised, records of several lines are joined. docs/logs.md tells
how, and what becomes of times without a zone or a year.

An import that was broken off is simply run again: each record carries its file
and place, and what is stored already is not added twice. Lines older than
storage.logs.retention are refused and counted.

They go to the server at --server, or with --data into a data directory on which
no server runs.

JSON: files[]{path, format, records, known, skipped}, records, known, rejected{},
lines, bytes, from, to, seconds.`,
		Example: "  norn import logs /var/log/nginx --service web\n  journalctl -o short-iso | norn import logs -\n  norn import logs 'app.log*' --data data",
		RunE:    func(cmd *cobra.Command, paths []string) error { return runImportLogs(cmd, paths, f) },
	}
	c.Flags().StringVar(&f.service, "service", "", "service of all lines; without it: what a line names, else the name of the file or its folder")
	c.Flags().StringVar(&f.format, "format", logread.FormatAuto, strings.Join(logread.Formats(), ", "))
	c.Flags().StringVar(&f.timezone, "timezone", "UTC", "of times that name none: an IANA name, or Local")
	c.Flags().StringVar(&f.server, "server", cmp.Or(os.Getenv("NORN_SERVER"), "http://127.0.0.1:7700"), "address of the server (environment: NORN_SERVER)")
	c.Flags().StringVar(&f.token, "token", os.Getenv("NORN_TOKEN"), "bearer token (environment: NORN_TOKEN)")
	c.Flags().StringVar(&f.config, "config", "", "with --data: configuration file of that directory's server")
	c.Flags().StringVar(&f.data, "data", "", "data directory, instead of a server")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(logread.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// importReport is what is printed of an import.
type importReport struct {
	file.Report
	Seconds float64 `json:"seconds"`
}

// Print writes the report as a table.
func (r importReport) Print(w io.Writer) error {
	for _, f := range r.Files {
		what := fmt.Sprintf("%d records", f.Records)
		if f.Known > 0 {
			what += fmt.Sprintf(", %d known", f.Known)
		}
		if f.Skipped != "" {
			what += "; " + f.Skipped
		}
		if _, err := fmt.Fprintf(w, "%-40s %-7s %s\n", f.Path, f.Format, what); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
	}
	_, err := fmt.Fprintf(w, "%d records of %d lines brought in, %d known, from %s to %s, in %.1f s\n", r.Records, r.Lines, r.Known, cmp.Or(r.From, "-"), cmp.Or(r.To, "-"), r.Seconds)
	for _, reason := range slices.Sorted(maps.Keys(r.Rejected)) {
		_, more := fmt.Fprintf(w, "%d refused: %s\n", r.Rejected[reason], reason)
		err = errors.Join(err, more)
	}
	return err
}

func runImportLogs(cmd *cobra.Command, paths []string, f importLogsFlags) (err error) {
	if !slices.Contains(logread.Formats(), f.format) {
		return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("--format %q is not one of %s", f.format, strings.Join(logread.Formats(), ", "))}
	}
	zone, err := time.LoadLocation(f.timezone)
	if err != nil {
		return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("--timezone %q is not known", f.timezone)}
	}
	to, closer, err := importTarget(cmd.Context(), f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	bar := bytesBar()
	defer bar.done()
	began := time.Now()
	rep, err := file.Import(cmd.Context(), file.Options{
		Paths: paths, Stdin: cmd.InOrStdin(), Service: f.service, Format: f.format, Zone: zone, Progress: bar.set,
	}, to)
	bar.done()
	if errors.Is(err, os.ErrNotExist) {
		return &cli.Error{Code: cli.ExitNotFound, Err: err}
	}
	if printErr := show(cmd, f.output, importReport{rep, time.Since(began).Seconds()}); err == nil {
		return printErr
	}
	return fmt.Errorf("%w; run the same command again to go on", err)
}

// importTarget is the data directory or the server.
func importTarget(ctx context.Context, f importLogsFlags) (file.Target, func() error, error) {
	if f.data == "" {
		if !strings.Contains(f.server, "://") {
			f.server = "http://" + f.server
		}
		return file.Remote{Base: f.server, Token: f.token}, func() error { return nil }, nil
	}
	cfg, err := loadConfig(f.config)
	if err != nil {
		return nil, nil, err
	}
	cfg.Storage.Dir = filepath.Clean(f.data)
	l, err := app.OpenLogImport(ctx, cfg, logger(config.Log{Level: "warn", Format: "text"}))
	if err != nil {
		return nil, nil, err
	}
	return l, l.Close, nil
}

// byteBar shows how many bytes of the files are read, on a terminal.
type byteBar struct {
	mu  sync.Mutex
	bar *progressbar.ProgressBar
}

func bytesBar() *byteBar { return &byteBar{} }

func (b *byteBar) set(done, total int64, path string) {
	if !terminal(os.Stderr) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar == nil {
		if total == 0 {
			total = -1
		}
		b.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	b.bar.Describe(filepath.Base(path))
	_ = b.bar.Set64(done)
}

func (b *byteBar) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Finish()
		b.bar = nil
	}
}
