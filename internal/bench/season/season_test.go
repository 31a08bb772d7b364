package season

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	_ "time/tzdata"
)

func TestTheBenchIsDeterministicAndCountsFaults(t *testing.T) {
	a, err := Run(t.Context(), Options{Series: 1, Weeks: 2, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Run(t.Context(), Options{Series: 1, Weeks: 2, Seed: 3})
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs differ")
	}
	var out bytes.Buffer
	if err := a.Print(&out); err != nil || strings.Count(out.String(), "\n") != len(a.Kinds)+2 {
		t.Errorf("%v:\n%s", err, out.String())
	}
	for _, k := range a.Kinds {
		if k.With.Faults < 2 || k.With.Faults != k.Without.Faults {
			t.Errorf("%+v", k)
		}
	}
	if k := a.Kinds[0]; k.Follows != 1 || k.With.Missed >= k.Without.Missed {
		t.Errorf("%+v", k)
	}
}
