package loghub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shop = `LineId,Level,Content,EventId,EventTemplate
1,INFO,order 12 stored in 5 ms,E1,order <*> stored in <*> ms
2,INFO,order 13 stored in 17 ms,E1,order <*> stored in <*> ms
3,WARN,"queue is full, waiting",E2,"queue is full, waiting"
4,INFO,order 99 stored in 4 ms,E1,order <*> stored in <*> ms
5,WARN,queue is empty,E3,queue is empty
`

// unlike has one message that the truth splits by a word and the miner by
// nothing, and one whose text is wrong.
const unlike = `Content,EventId,EventTemplate
retry 1 of a,E1,retry <*> of a
retry 2 of a,E1,retry <*> of <*>
job 5 done,E2,job <*> done
job 6 done,E3,job <*> done
`

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRunScoresEverySystemOfADirectory(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "Shop/Shop_2k.log_structured.csv", shop)
	put(t, dir, "Other/Other_2k.log_structured.csv", unlike)
	put(t, dir, "Other/README.md", "not data")
	rep, err := Run(context.Background(), dir, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []System{
		{Name: "Other", Lines: 4, Truth: 3, Found: 2, Scores: Scores{GA: 0.5, FGA: 0.4, PA: 0.75, FTA: 0.4}},
		{Name: "Shop", Lines: 5, Truth: 3, Found: 3, Scores: Scores{1, 1, 1, 1}},
	}
	if len(rep.Systems) != 2 || rep.Systems[0] != want[0] || rep.Systems[1] != want[1] {
		t.Errorf("systems\n%+v, want\n%+v", rep.Systems, want)
	}
	if math.Abs(rep.Mean.GA-0.75) > 1e-9 || math.Abs(rep.Mean.PA-0.875) > 1e-9 {
		t.Errorf("mean %+v", rep.Mean)
	}
	text, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"systems":[{"name":"Other"`, `"ga":0.5`, `"fga":0.4`, `"pa":0.75`, `"fta":0.4`, `"mean":{"ga":0.75`} {
		if !strings.Contains(string(text), name) {
			t.Errorf("JSON lacks %s: %s", name, text)
		}
	}
	var table bytes.Buffer
	if err := rep.Print(&table); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(table.String(), "\n"); len(lines) != 7 || !strings.HasPrefix(lines[1], "Other") || !strings.Contains(lines[3], "0.750") {
		t.Errorf("table:\n%s", table.String())
	}
}

func TestWhatIsNoDataIsSaid(t *testing.T) {
	if _, err := Run(context.Background(), t.TempDir(), false); !errors.Is(err, ErrNoData) {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := Run(context.Background(), filepath.Join(t.TempDir(), "none"), false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	for text, want := range map[string]string{
		"":                                      "header",
		"Line,Text\n1,a\n":                      "lacks Content",
		"Content,EventId,EventTemplate\na,E1\n": "line 2 has 2 columns",
	} {
		dir := t.TempDir()
		put(t, dir, "X_structured.csv", text)
		if _, err := Run(context.Background(), dir, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", text, err, want)
		}
	}
	dir := t.TempDir()
	put(t, dir, "X_structured.csv", shop)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, dir, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNormalizeBringsBothSidesToOneForm(t *testing.T) {
	for in, want := range map[string]string{
		"  a   b ":                     "a b",
		"from <*>:<*> to <*>/<*>":      "from <*> to <*>",
		"blk_<*> is <*>.<*>":           "<*> is <*>",
		"in /var/log/x and true":       "in <*> and <*>",
		"user root had 5 of <*>, <*>":  "user <*> had <*> of <*>, <*>",
		"v<*>":                         "<*>",
		"plain words stay-as they.are": "plain words stay-as they.are",
	} {
		if got := Normalize(in); got != want {
			t.Errorf("Normalize(%q) = %q, want %q", in, got, want)
		}
		if got := Normalize(Normalize(in)); got != want {
			t.Errorf("Normalize twice of %q = %q", in, got)
		}
	}
}

// What another program found is scored by the same rules, and must cover every
// line.
func TestAnotherProgramIsScoredAlike(t *testing.T) {
	dir, back := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "App_2k.log_structured.csv"), "Content,EventId,EventTemplate\nopened 1,E1,opened <*>\nopened 2,E1,opened <*>\nclosed,E2,closed\n")
	write(filepath.Join(back, "App_2k.log_structured.csv"), "group,template\na,opened <*>\na,opened <*>\nb,shut\n")
	got, err := Compare(t.Context(), dir, []Parsed{{"other", back}})
	if err != nil || len(got) != 1 || got[0].Mean.GA != 1 || got[0].Mean.FGA != 1 || got[0].Mean.FTA != .5 {
		t.Fatalf("%v %+v", err, got)
	}
	if pa := got[0].Mean.PA; pa < .66 || pa > .67 {
		t.Errorf("PA %g", pa)
	}
	rep, err := Run(t.Context(), dir, false)
	if err != nil || rep.Mean.GA != 1 || rep.LinesPerCPUSecond <= 0 {
		t.Errorf("%v %+v", err, rep)
	}
	write(filepath.Join(back, "App_2k.log_structured.csv"), "group,template\na,opened <*>\n")
	if _, err := Compare(t.Context(), dir, []Parsed{{"other", back}}); err == nil {
		t.Error("missing lines were not noticed")
	}
}
