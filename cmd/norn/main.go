// Command norn is the whole platform in one binary: the server, the demo, the
// replay of recorded incidents, the benchmarks, and the operator's verbs
// against a running server.
//
// It only parses the command line, prints, and exits; app wires the parts.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones of mutes and syslog, where the system has none

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/cli"
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "norn:", err)
	}
	os.Exit(cli.ExitCode(err))
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "norn",
		Short: "Norn watches an estate, learns what is normal, and names the cause of trouble",
		Long: `Norn takes in metrics, logs, traces, changes and other tools' alerts, learns
what is normal, and turns trouble into one incident with its root cause.

  norn demo     see it work: a small shop with faults, and the console
  norn serve    run the server

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration,
3 not found, 4 no server answers, 5 finding (with --exit-code).`,
		Version: version, SilenceUsage: true, SilenceErrors: true,
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &cli.Error{Code: cli.ExitUsage, Err: err} })
	c.AddCommand(serveCommand(), demoCommand(), shopCommand(), replayCommand(), backtestCommand(), benchCommand(), importCommand(), configCommand(), checkConfigCommand())
	c.AddCommand(cli.Commands()...)
	return c
}
