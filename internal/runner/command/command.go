// Package command runs configured programs as remedies.
//
// It exists so that what an estate's own tools do (restart a unit, roll a
// deployment back) can be an action. A program gets an argument vector; there
// is no shell, no search path, and an input is always within one argument. It
// does not decide whether something may run. A [Runner] is safe for concurrent
// use. Main type: [Runner].
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/remedy"
)

// Runner runs one program to apply and maybe another one to undo.
type Runner struct {
	Do   []string // absolute path, then arguments; {input} is replaced within an argument
	Back []string // to take it back, nil when there is no way; must bear being run twice
}

var slot = regexp.MustCompile(`\{([a-z_]+)\}`)

// Check finds faults of the configuration: a path that is not absolute and
// clean, a shell, a slot that is no input.
func (r Runner) Check(inputs []remedy.Input) error {
	var errs []error
	for name, argv := range map[string][]string{"argv": r.Do, "rollback": r.Back} {
		if len(argv) == 0 {
			if name == "argv" {
				errs = append(errs, errors.New("argv: must name a program"))
			}
			continue
		}
		if !filepath.IsAbs(argv[0]) || filepath.Clean(argv[0]) != argv[0] || slot.MatchString(argv[0]) {
			errs = append(errs, fmt.Errorf("%s: %q is not the absolute, clean path of a program", name, argv[0]))
		}
		switch filepath.Base(argv[0]) {
		case "sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "env", "xargs", "sudo", "su", "eval":
			errs = append(errs, fmt.Errorf("%s: %q runs other programs; name the program itself", name, argv[0]))
		}
		for _, a := range argv[1:] {
			for _, s := range slot.FindAllStringSubmatch(a, -1) {
				if !has(inputs, s[1]) {
					errs = append(errs, fmt.Errorf("%s: {%s} is no input", name, s[1]))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func has(inputs []remedy.Input, name string) bool {
	for _, in := range inputs {
		if in.Name == name {
			return true
		}
	}
	return false
}

// Plan says which program would run with which arguments.
func (r Runner) Plan(_ context.Context, w remedy.Work) ([]string, error) {
	return []string{fmt.Sprintf("run %q", Vector(r.Do, w.Inputs))}, nil
}

// Apply runs the program.
func (r Runner) Apply(ctx context.Context, w remedy.Work) (string, error) {
	return run(ctx, Vector(r.Do, w.Inputs))
}

// Applied cannot be told of a program.
func (r Runner) Applied(context.Context, remedy.Work) (done, known bool, err error) {
	return false, false, nil
}

// Undo runs the other program.
func (r Runner) Undo(ctx context.Context, w remedy.Work, _ string) (bool, error) {
	if len(r.Back) == 0 {
		return false, nil
	}
	_, err := run(ctx, Vector(r.Back, w.Inputs))
	return true, err
}

// Vector is the argument vector with inputs filled in.
func Vector(argv []string, inputs map[string]string) []string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = slot.ReplaceAllStringFunc(a, func(s string) string { return inputs[s[1:len(s)-1]] })
	}
	return out
}

// maxOutput is kept of what a program says.
const maxOutput = 4 << 10

// run runs one program in an empty environment and waits for it; it does not
// outlive Norn. Its output is returned, cut, also in the error.
func run(ctx context.Context, argv []string) (string, error) {
	var out bytes.Buffer
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	c.Dir = "/"
	c.Stdout, c.Stderr = &limited{&out}, &limited{&out}
	c.WaitDelay = time.Second
	dieWithParent(c)
	runtime.LockOSThread() // the child ends with this thread
	defer runtime.UnlockOSThread()
	err := c.Run()
	text := strings.TrimSpace(strings.ToValidUTF8(out.String(), "?"))
	if err != nil {
		return text, fmt.Errorf("%s: %w: %s", argv[0], err, text)
	}
	return text, nil
}

type limited struct{ b *bytes.Buffer }

// Write keeps the beginning.
func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.b.Len(); room > 0 {
		l.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
