package capacity

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Formats are what [Plan.Export] writes.
func Formats() []string { return []string{"csv", "keda", "cronjob"} }

// Target names what is to be scaled.
type Target struct {
	Name      string // of the Deployment, and of its HorizontalPodAutoscaler
	Namespace string
	Image     string // with kubectl, for cronjob
}

var weekdays = []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// Export writes the schedule: csv (weekday, hour, demand, replicas), keda (a
// ScaledObject with cron triggers) or cronjob (CronJobs that patch the least
// number of replicas of a HorizontalPodAutoscaler, with the role they need).
func (p *Plan) Export(w io.Writer, format string, t Target) error {
	switch format {
	case "csv":
		return p.csv(w)
	case "keda":
		return documents(w, p.keda(t))
	case "cronjob":
		return documents(w, p.cronJobs(t)...)
	}
	return fmt.Errorf("a plan cannot be exported as %q: one of %s", format, strings.Join(Formats(), ", "))
}

func (p *Plan) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"weekday", "hour", "demand", "replicas"})
	for h, n := range p.Replicas {
		_ = c.Write([]string{weekdays[h/24], strconv.Itoa(h % 24), strconv.FormatFloat(p.Demand[h], 'g', 6, 64), strconv.Itoa(n)})
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("cannot write the plan: %w", err)
	}
	return nil
}

type doc = map[string]any

func documents(w io.Writer, list ...doc) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	for _, d := range list {
		if err := e.Encode(d); err != nil {
			return fmt.Errorf("cannot write the plan: %w", err)
		}
	}
	return e.Close()
}

// cron is the moment of an hour of the week; cron counts days from Sunday.
func cron(h int) string {
	h %= HoursAWeek
	return fmt.Sprintf("0 %d * * %d", h%24, (h/24+1)%7)
}

func meta(t Target, name string) doc {
	m := doc{"name": name, "labels": doc{"app.kubernetes.io/managed-by": "norn"}}
	if t.Namespace != "" {
		m["namespace"] = t.Namespace
	}
	return m
}

// keda makes one cron trigger for each span above the least number: KEDA takes
// the largest of the triggers that are active.
func (p *Plan) keda(t Target) doc {
	least := slices.Min(p.Replicas)
	triggers := []doc{}
	for _, s := range p.Spans() {
		if s.Replicas > least {
			triggers = append(triggers, doc{"type": "cron", "metadata": doc{"timezone": p.Zone, "start": cron(s.From), "end": cron(s.To), "desiredReplicas": strconv.Itoa(s.Replicas)}})
		}
	}
	if len(triggers) == 0 {
		triggers = append(triggers, doc{"type": "cron", "metadata": doc{"timezone": p.Zone, "start": "0 0 * * 1", "end": "59 23 * * 0", "desiredReplicas": strconv.Itoa(least)}})
	}
	return doc{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta(t, t.Name+"-weekly"),
		"spec": doc{"scaleTargetRef": doc{"name": t.Name}, "minReplicaCount": least, "maxReplicaCount": slices.Max(p.Replicas), "triggers": triggers}}
}

// cronJobs makes one job for each number of replicas and hour of the day at
// which it begins, on all days on which it does.
func (p *Plan) cronJobs(t Target) []doc {
	account := t.Name + "-weekly"
	out := []doc{
		{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(t, account)},
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta(t, account),
			"rules": []doc{{"apiGroups": []string{"autoscaling"}, "resources": []string{"horizontalpodautoscalers"}, "resourceNames": []string{t.Name}, "verbs": []string{"get", "patch"}}}},
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta(t, account),
			"roleRef":  doc{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
			"subjects": []doc{{"kind": "ServiceAccount", "name": account}}},
	}
	type moment struct{ hour, replicas int }
	days := map[moment][]int{}
	var order []moment
	spans := p.Spans()
	for i, s := range spans {
		if i == 0 && len(spans) > 1 && spans[len(spans)-1].Replicas == s.Replicas {
			continue // goes on over Sunday night
		}
		m := moment{s.From % 24, s.Replicas}
		if days[m] == nil {
			order = append(order, m)
		}
		days[m] = append(days[m], (s.From/24+1)%7)
	}
	slices.SortFunc(order, func(a, b moment) int {
		if a.hour != b.hour {
			return a.hour - b.hour
		}
		return a.replicas - b.replicas
	})
	image := t.Image
	if image == "" {
		image = "registry.k8s.io/kubectl:v1.34.1"
	}
	for _, m := range order {
		on := days[m]
		slices.Sort(on)
		text := make([]string, len(on))
		for i, d := range on {
			text[i] = strconv.Itoa(d)
		}
		patch := fmt.Sprintf(`{"spec":{"minReplicas":%d}}`, m.replicas)
		out = append(out, doc{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta(t, fmt.Sprintf("%s-%02d-to-%d", t.Name, m.hour, m.replicas)),
			"spec": doc{"schedule": fmt.Sprintf("0 %d * * %s", m.hour, strings.Join(text, ",")), "timeZone": p.Zone, "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 1,
				"jobTemplate": doc{"spec": doc{"template": doc{"spec": doc{"serviceAccountName": account, "restartPolicy": "OnFailure",
					"containers": []doc{{"name": "patch", "image": image, "command": []string{"kubectl", "patch", "hpa", t.Name, "--patch", patch}}}}}}}}})
	}
	return out
}
