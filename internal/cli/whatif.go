package cli

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/simulate"
)

// whatifFlags is what all questions share.
type whatifFlags struct {
	entity, operation, from, to, horizon string
	limit                                float64
	seed                                 uint64
}

func whatifCommand(a *asker) *cobra.Command {
	f := &whatifFlags{}
	c := &cobra.Command{
		Use: "whatif", Short: "Ask what breaks first, at what load, and what to add",
		Long: `Asks what would break, from the past of each service's load, own time and
utilisation, carried along the learned calls. What the past does not tell is
listed as unknown. See docs/whatif.md.

JSON: kind, asked, unit, sentence, breaks, first{}, when{}, effects[]{entity,
load_per_second, load_then_per_second, breaking_load_per_second{p10,p50,p90},
breaking_at{p10,p50,p90}, probability, gone, add_instances, curve{}, text},
unknown[].`,
		Example: `  norn whatif surge --factor 5
  norn whatif surge --factor 3 --entity service/frontend --operation "POST /checkout"
  norn whatif ddos --entity service/frontend --operation "GET /" --rps 800
  norn whatif users --factor 2 --horizon 90d
  norn whatif loss --entity host/rack-7
  norn whatif slow --entity database/orders-db --by 200ms`,
	}
	p := c.PersistentFlags()
	p.StringVar(&f.entity, "entity", "", "kind/name")
	p.StringVar(&f.from, "from", "", "begin of the past that is read (default 14 days ago)")
	p.StringVar(&f.to, "to", "", "its end (default now)")
	p.Float64Var(&f.limit, "limit", 3, "own time that counts as broken, as a multiple of the usual")
	p.Uint64Var(&f.seed, "seed", 1, "of the intervals' bootstrap")
	p.StringVar(&f.horizon, "horizon", "", "forecast the load so far to say when, such as 30d")
	c.AddCommand(whatifSurge(a, f), whatifUsers(a, f), whatifFlood(a, f), whatifSlow(a, f), &cobra.Command{
		Use: "loss", Short: "An instance, a host or a zone is lost", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.whatif(cmd, f, "loss", url.Values{}) },
	})
	return c
}

func whatifSurge(a *asker, f *whatifFlags) *cobra.Command {
	var factor float64
	c := &cobra.Command{
		Use: "surge", Short: "Traffic grows: all of it, or one entity's or endpoint's", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.whatif(cmd, f, "surge", url.Values{"factor": {plainNumber(factor)}})
		},
	}
	c.Flags().Float64Var(&factor, "factor", 2, "times the usual peak")
	c.Flags().StringVar(&f.operation, "operation", "", "one endpoint of the entity")
	return c
}

func whatifUsers(a *asker, f *whatifFlags) *cobra.Command {
	var factor float64
	c := &cobra.Command{
		Use: "users", Short: "Users grow: all traffic does", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.whatif(cmd, f, "users", url.Values{"factor": {plainNumber(factor)}})
		},
	}
	c.Flags().Float64Var(&factor, "factor", 2, "times as many users")
	return c
}

func whatifFlood(a *asker, f *whatifFlags) *cobra.Command {
	var rps float64
	c := &cobra.Command{
		Use: "ddos", Short: "One entity or endpoint is flooded", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.whatif(cmd, f, "ddos", url.Values{"rps": {plainNumber(rps)}})
		},
	}
	c.Flags().Float64Var(&rps, "rps", 1000, "requests a second more")
	c.Flags().StringVar(&f.operation, "operation", "", "one endpoint of the entity")
	return c
}

func whatifSlow(a *asker, f *whatifFlags) *cobra.Command {
	var by time.Duration
	c := &cobra.Command{
		Use: "slow", Short: "A dependency takes longer", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if by < time.Millisecond {
				return &Error{ExitUsage, fmt.Errorf("--by %s: at least 1ms", by)}
			}
			return a.whatif(cmd, f, "slow", url.Values{"by": {fmt.Sprintf("%dms", by.Milliseconds())}})
		},
	}
	c.Flags().DurationVar(&by, "by", 200*time.Millisecond, "how much longer")
	return c
}

func plainNumber(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func (a *asker) whatif(cmd *cobra.Command, f *whatifFlags, kind string, q url.Values) error {
	q.Set("kind", kind)
	q.Set("limit", plainNumber(f.limit))
	q.Set("seed", strconv.FormatUint(f.seed, 10))
	for k, v := range map[string]string{"entity": f.entity, "operation": f.operation, "from": f.from, "to": f.to, "horizon": f.horizon} {
		if v != "" {
			q.Set(k, v)
		}
	}
	var got simulate.Answer
	if err := a.client().get(cmd.Context(), "/api/v1/whatif", q, &got); err != nil {
		return err
	}
	return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { whatifPage(w, &got) })
}

func whatifPage(w io.Writer, a *simulate.Answer) {
	fmt.Fprintln(w, a.Sentence)
	if len(a.Effects) > 0 {
		fmt.Fprintf(w, "\nENTITY\tLOAD /s\tTHEN /s\tBEARS /s (P10-P90)\tBREAKS AT (P10-P90)\tCHANCE\tADD\tBY\n")
	}
	for i := range a.Effects {
		e := &a.Effects[i]
		if e.Gone {
			fmt.Fprintf(w, "%s\t%.3g\t-\tgone\t-\t100 %%\t%d\t-\n", e.Entity, e.Load, e.Add)
			continue
		}
		bears := "-"
		if b := e.BreakingLoad; b.P50 > 0 {
			bears = fmt.Sprintf("%.3g (%.3g-%.3g)", b.P50, b.P10, b.P90)
		}
		fmt.Fprintf(w, "%s\t%.3g\t%.3g\t%s\t%.3g (%.3g-%.3g) %s\t%.0f %%\t%d\t%s\n", e.Entity, e.Load, e.LoadThen, bears,
			e.BreakingAt.P50, e.BreakingAt.P10, e.BreakingAt.P90, a.Unit, 100*e.Probability, e.Add, dash(e.Curve.Model))
	}
	if len(a.Unknown) > 0 {
		fmt.Fprintln(w, "\nNot told by the past:")
	}
	for i := range a.Unknown {
		fmt.Fprintln(w, "  "+a.Unknown[i].Text)
	}
}
