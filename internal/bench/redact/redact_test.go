package redact

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every secret of the corpus is hidden and counted under its kind; lines
// without one stay as they are.
func TestEverySecretOfTheCorpusIsHidden(t *testing.T) {
	dir := t.TempDir()
	ordinary := strings.Join([]string{
		"ubuntu : TTY=pts/0 ; PWD=/home/ubuntu ; USER=root ; COMMAND=/usr/bin/curl -L -O https://example.com/x", "closed session with sessionid: 0x15093bdd3df0000",
		"Skipping AppWindowToken{df0798e token=Token{78af589 ActivityRecord{3b04890}}}", "mysqld: ready for connections", "signature verified", "auth=none", "pin=13", "the password is wrong",
		"sig=ok", "task-1234 sk-short hf_short key-value dapi works", "<token>", "12:30:45:AA", "name=\"x\" value=\"y\"", "curl: (7) failed to connect to x:80", "otp=off",
	}, "\n")
	if err := os.WriteFile(filepath.Join(dir, "x.log"), []byte(ordinary), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.Missed {
		t.Errorf("missed: %s", line)
	}
	if r.Hidden != r.Secrets || r.Secrets < 100 || len(r.Kinds) < 10 {
		t.Errorf("%d hidden of %d, kinds %v", r.Hidden, r.Secrets, r.Kinds)
	}
	if r.Lines != 15 || r.Changed != 0 {
		t.Errorf("%d of %d ordinary lines were changed: %q", r.Changed, r.Lines, r.Examples)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "(100.0 %)") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
