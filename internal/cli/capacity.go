package cli

import (
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/capacity"
	"github.com/norn-aiops/norn/internal/ops"
)

func forecastCommand(a *asker) *cobra.Command {
	var flags struct{ horizon, step, history, at, low, high, limit, direction string }
	var candidates bool
	c := &cobra.Command{
		Use: "forecast QUERY", Short: "Say how the results of a PromQL query go on", Args: cobra.ExactArgs(1),
		Example: "  norn forecast 'sum(rate(http_requests_total[5m]))' --horizon 14d\n  norn forecast node_filesystem_avail_bytes --horizon 60d --limit 0 --direction down",
		Long: `Forecasts what a query gives, with intervals of 80 and 95 %, from cycles and
methods that are chosen by their errors at past times. With --limit it also says
when a value is reached (P10, P50, P90).

JSON: result[]{labels, t_unix_ms[], mean[], low80[], high80[], low95[], high95[],
seasons_ms[], reason, candidates[]{name, mae, weight}, limit{p10_in_ms, p50_in_ms, p90_in_ms, ...}}.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"query": {args[0]}, "candidates": {strconv.FormatBool(candidates)}}
			for _, f := range []struct{ name, value string }{{"horizon", flags.horizon}, {"step", flags.step}, {"history", flags.history}, {"at", flags.at},
				{"low", flags.low}, {"high", flags.high}, {"limit", flags.limit}, {"direction", flags.direction}} {
				if f.value != "" {
					q.Set(f.name, f.value)
				}
			}
			var got api.ForecastResult
			if err := a.client().get(cmd.Context(), "/api/v1/forecast", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { forecastPage(w, &got) })
		},
	}
	f := c.Flags()
	f.StringVar(&flags.horizon, "horizon", "1d", "how far ahead: 6h, 14d")
	f.StringVar(&flags.step, "step", "", "distance of two values (by the horizon)")
	f.StringVar(&flags.history, "history", "", "how much of the past is used (by the step)")
	f.StringVar(&flags.at, "at", "", "where the past ends (now)")
	f.StringVar(&flags.low, "low", "", "the quantity is never below")
	f.StringVar(&flags.high, "high", "", "the quantity is never above")
	f.StringVar(&flags.limit, "limit", "", "say when this value is reached")
	f.StringVar(&flags.direction, "direction", "up", "whether the limit is reached going up or down")
	f.BoolVar(&candidates, "candidates", false, "show the methods' errors")
	return c
}

func forecastPage(w io.Writer, r *api.ForecastResult) {
	if len(r.Fans) == 0 {
		fmt.Fprintln(w, "The query gives no series.")
	}
	for i := range r.Fans {
		f := &r.Fans[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, labelText(f.Labels))
		if f.Note != "" {
			fmt.Fprintf(w, "  no forecast: %s\n", f.Note)
		}
		if f.Limit != nil {
			fmt.Fprintf(w, "  limit: P10 %s, P50 %s, P90 %s (%.0f %% within the horizon; %+.4g a day)\n", after(r.To, f.Limit.P10), after(r.To, f.Limit.P50), after(r.To, f.Limit.P90), 100*f.Limit.Within, f.Limit.Growth)
		}
		if len(f.Mean) == 0 {
			continue
		}
		fanLines(w, f)
		fmt.Fprintln(w, "  TIME\tMEAN\tLOW 80 %\tHIGH 80 %\tLOW 95 %\tHIGH 95 %")
		for _, k := range rows(len(f.T), 8) {
			fmt.Fprintf(w, "  %s\t%.5g\t%.5g\t%.5g\t%.5g\t%.5g\n", moment(f.T[k]), f.Mean[k], f.Low80[k], f.High80[k], f.Low95[k], f.High95[k])
		}
		fmt.Fprintf(w, "  %s\n", f.Reason)
		if len(f.Candidates) > 0 {
			fmt.Fprintln(w, "  METHOD\tMEAN ERROR\tWEIGHT\tDOES")
		}
		for _, m := range f.Candidates {
			fmt.Fprintf(w, "  %s\t%.4g\t%.0f %%\t%s\n", m.Name, m.MAE, 100*m.Weight, m.Text)
		}
	}
	if r.Total > len(r.Fans) {
		fmt.Fprintf(w, "\n%d series more.\n", r.Total-len(r.Fans))
	}
}

// rows picks about n of count, the last among them.
func rows(count, n int) []int {
	var out []int
	for i := 1; i <= min(n, count); i++ {
		out = append(out, i*count/min(n, count)-1)
	}
	return out
}

const bars = "▁▂▃▄▅▆▇█"

// fanLines draws the past with the forecast's 95 % high, mean and low on one
// scale.
func fanLines(w io.Writer, f *api.Fan) {
	var past []float64
	for _, v := range f.Past.V {
		if v != nil {
			past = append(past, *v)
		}
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, xs := range [][]float64{past, f.Low95, f.High95} {
		for _, v := range xs {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	draw := func(xs []float64, width int) string {
		rs, b := []rune(bars), strings.Builder{}
		for i := range min(width, len(xs)) {
			from, to := i*len(xs)/min(width, len(xs)), (i+1)*len(xs)/min(width, len(xs))
			v := slices.Max(xs[from:to])
			k := 0
			if hi > lo {
				k = int((v-lo)/(hi-lo)*float64(len(rs)-1) + .5)
			}
			b.WriteRune(rs[min(max(k, 0), len(rs)-1)])
		}
		return b.String()
	}
	shown := draw(past, 40)
	pad := strings.Repeat(" ", len([]rune(shown)))
	fmt.Fprintf(w, "  %s┊%s  high 95 %%\n", pad, draw(f.High95, 24))
	fmt.Fprintf(w, "  %s┊%s  mean\n", shown, draw(f.Mean, 24))
	fmt.Fprintf(w, "  %s┊%s  low 95 %%\n", pad, draw(f.Low95, 24))
}

func labelText(ls map[string]string) string {
	name := ls["__name__"]
	var parts []string
	for k, v := range ls {
		if k != "__name__" {
			parts = append(parts, k+"="+strconv.Quote(v))
		}
	}
	slices.Sort(parts)
	return name + "{" + strings.Join(parts, ", ") + "}"
}

func moment(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02 15:04") }

func after(t int64, in *int64) string {
	if in == nil {
		return "-"
	}
	return moment(t + *in)
}

func capacityCommand(a *asker) *cobra.Command {
	var entity, resource string
	var urgent, exitCode bool
	var limit int
	c := &cobra.Command{
		Use: "capacity", Short: "List what has a limit, by when it will be reached", Args: cobra.NoArgs,
		Long: `Lists disks, memory, connection pools, queues, file handles, certificates and
whatever the configuration declares (capacity), with the dates at which their
peaks reach the limit with a probability of 10, 50 and 90 %, the most urgent
first. What reaches its limit before one can act (lead time) has a !.

JSON: capacity[]{resource, entity, labels, limit, value, peak, p10_unix_ms, p50_unix_ms,
p90_unix_ms, probability_within_lead_time, growth_per_day, drivers[], urgent, sentence, ...}, total, state.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}, "urgent": {strconv.FormatBool(urgent)}}
			if entity != "" {
				q.Set("entity", entity)
			}
			if resource != "" {
				q.Set("resource", resource)
			}
			var got api.CapacityList
			if err := a.client().get(cmd.Context(), "/api/v1/capacity", q, &got); err != nil {
				return err
			}
			err := a.print(cmd.OutOrStdout(), got, func(w io.Writer) { capacityTable(w, &got) })
			if err == nil && exitCode && slices.ContainsFunc(got.Capacity, func(c ops.Capacity) bool { return c.Urgent }) {
				return &Error{ExitFinding, fmt.Errorf("limits will be reached before one can act")}
			}
			return err
		},
	}
	c.Flags().StringVar(&entity, "entity", "", "only this entity's: a service's name or kind/name")
	c.Flags().StringVar(&resource, "resource", "", "only this: disk, certificate...")
	c.Flags().BoolVar(&urgent, "urgent", false, "only what reaches its limit before one can act")
	c.Flags().IntVar(&limit, "limit", 100, "at most this many")
	c.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 5 when something is urgent")
	c.AddCommand(planCommand(a))
	return c
}

func capacityTable(w io.Writer, l *api.CapacityList) {
	if len(l.Capacity) == 0 {
		fmt.Fprintln(w, "Nothing with a limit was found.")
	} else {
		fmt.Fprintln(w, "\tRESOURCE\tENTITY\tP10\tP50\tP90\tA DAY\tPEAK\tLIMIT\tWHAT")
	}
	date := func(t *int64) string {
		if t == nil {
			return "-"
		}
		return time.UnixMilli(*t).Format("2006-01-02")
	}
	for i := range l.Capacity {
		c := &l.Capacity[i]
		sign := ""
		if c.Urgent {
			sign = "!"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%+.4g\t%.4g\t%.4g\t%s\n", sign, c.Resource, dash(c.Entity.String()), date(c.P10), date(c.P50), date(c.P90), c.Growth, c.Peak, c.Limit, c.Sentence)
	}
	if n := l.Total - len(l.Capacity); n > 0 {
		fmt.Fprintf(w, "%d more\n", n)
	}
	if l.State.Waiting > 0 {
		fmt.Fprintf(w, "%d forecasts are not computed yet\n", l.State.Waiting)
	}
	for _, e := range l.State.Errors {
		fmt.Fprintln(w, "cannot be evaluated:", e)
	}
}

func planCommand(a *asker) *cobra.Command {
	var per, risk, headroom float64
	var least int
	var zone, export string
	var t capacity.Target
	c := &cobra.Command{
		Use: "plan QUERY", Short: "Make a weekly schedule of replicas for a demand that comes again", Args: cobra.ExactArgs(1),
		Example: "  norn capacity plan 'sum(rate(http_requests_total{service=\"shop\"}[5m]))' --per-replica 50 --risk 0.01\n  norn capacity plan QUERY --per-replica 50 --export keda --target shop > shop-weekly.yaml",
		Long: `Makes a schedule of replicas by hour of the week from the last weeks (two at
least) of a demand: what served each hour in all but --risk of the time, with the
headroom that past weeks would have needed. It says what is saved against a static
peak, and how a plan made a week ago would have done in the last week.

--export writes csv (weekday, hour, demand, replicas), keda (a ScaledObject with
cron triggers) or cronjob (CronJobs that patch a HorizontalPodAutoscaler).

JSON: replicas[168], demand[168] (Monday 00:00 first), static_replicas, saved, headroom, exceeded, static_exceeded, weeks, reason.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if export != "" && !slices.Contains(capacity.Formats(), export) {
				return &Error{ExitUsage, fmt.Errorf("--export %q is not one of %s", export, strings.Join(capacity.Formats(), ", "))}
			}
			if (export == "keda" || export == "cronjob") && t.Name == "" {
				return &Error{ExitUsage, fmt.Errorf("--export %s needs --target, the name of the Deployment", export)}
			}
			num := func(v float64) []string { return []string{strconv.FormatFloat(v, 'g', -1, 64)} }
			q := url.Values{"query": {args[0]}, "per_replica": num(per), "risk": num(risk), "headroom": num(headroom), "least": {strconv.Itoa(least)}, "time_zone": {zone}}
			var got capacity.Plan
			if err := a.client().get(cmd.Context(), "/api/v1/capacity/plan", q, &got); err != nil {
				return err
			}
			if export != "" {
				return got.Export(cmd.OutOrStdout(), export, t)
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { planTable(w, &got) })
		},
	}
	f := c.Flags()
	f.Float64Var(&per, "per-replica", 0, "what one replica serves, in the query's unit")
	f.Float64Var(&risk, "risk", .01, "share of time in which demand may exceed the plan")
	f.Float64Var(&headroom, "headroom", 0, "on top of what past weeks asked for: 0.1 is a tenth")
	f.IntVar(&least, "min-replicas", 1, "replicas at any hour")
	f.StringVar(&zone, "timezone", "UTC", "whose week it is: IANA name")
	f.StringVar(&export, "export", "", "write keda, cronjob or csv")
	f.StringVar(&t.Name, "target", "", "name of the Deployment (and of its HorizontalPodAutoscaler)")
	f.StringVar(&t.Namespace, "namespace", "", "of the Deployment")
	f.StringVar(&t.Image, "image", "", "with kubectl, for --export cronjob")
	_ = c.MarkFlagRequired("per-replica")
	return c
}

func planTable(w io.Writer, p *capacity.Plan) {
	fmt.Fprintf(w, "%.0f %% of replica hours saved against %d replicas at all times.\n", 100*p.Saved, p.Static)
	fmt.Fprintf(w, "Made a week ago, demand would have exceeded it in %.2g %% of the last week (%d replicas at all times: %.2g %%); asked for were %.2g %%.\n", 100*p.Exceeded, p.Static, 100*p.StaticRisk, 100*p.Risk)
	fmt.Fprintf(w, "%s; %s\n\n", p.Reason, p.Zone)
	fmt.Fprintln(w, "DAY\tREPLICAS BY HOUR, 0 TO 23")
	for d, name := range []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} {
		parts := make([]string, 24)
		for h := range parts {
			parts[h] = fmt.Sprintf("%2d", p.Replicas[24*d+h])
		}
		fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(parts, " "))
	}
}
