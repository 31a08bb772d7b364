package command

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/remedy"
)

func TestAnInputStaysWithinOneArgumentAndMeetsNoShell(t *testing.T) {
	t.Setenv("NORN_SECRET", "x")
	r := Runner{Do: []string{"/usr/bin/printf", "[%s]", "{service}.service"}}
	w := remedy.Work{Inputs: map[string]string{"service": "a b; $(id) `id` {service}"}}
	got, err := r.Apply(context.Background(), w)
	if err != nil || got != "[a b; $(id) `id` {service}.service]" {
		t.Errorf("got %q, %v", got, err)
	}
	env, err := Runner{Do: []string{"/usr/bin/printenv"}}.Apply(context.Background(), w)
	if err != nil || strings.Contains(env, "NORN_SECRET") {
		t.Errorf("the program sees Norn's environment: %q, %v", env, err)
	}
	if can, _ := r.Undo(context.Background(), w, ""); can {
		t.Error("there is no way back")
	}
}

func TestAProgramThatHangsOrFailsOrTalksTooMuchIsBounded(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if _, err := (Runner{Do: []string{"/usr/bin/sleep", "600"}}).Apply(ctx, remedy.Work{}); err == nil {
		t.Error("it hangs and nobody says so")
	}
	if _, err := (Runner{Do: []string{"/usr/bin/ls", "/nowhere"}}).Apply(context.Background(), remedy.Work{}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
	path := t.TempDir() + "/much"
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := (Runner{Do: []string{"/usr/bin/cat", path}}).Apply(context.Background(), remedy.Work{}); err != nil || len(out) != maxOutput {
		t.Errorf("%d bytes are kept, %v", len(out), err)
	}
}

func TestShellsAndCraftedPathsAreNoPrograms(t *testing.T) {
	in := []remedy.Input{{Name: "service"}}
	for _, argv := range [][]string{nil, {"systemctl"}, {"./x"}, {"/bin/sh", "-c", "{service}"}, {"/usr/bin/env", "x"}, {"/bin/../bin/ls"}, {"/bin/{service}"}, {"/usr/bin/ls", "{other}"}, {"/usr/bin/sudo", "ls"}} {
		if (Runner{Do: argv}).Check(in) == nil {
			t.Errorf("%q is taken", argv)
		}
	}
	if err := (Runner{Do: []string{"/usr/bin/systemctl", "restart", "{service}"}}).Check(in); err != nil {
		t.Error(err)
	}
}
