package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	pageBytes = 1 << 16
	maxTitle  = 200 // bytes that a module may call itself
)

// signature is what an exported function must look like.
type signature struct {
	name     string
	params   []api.ValueType
	result   []api.ValueType
	optional bool
}

func signatures() []signature {
	i32, i64, f64 := api.ValueTypeI32, api.ValueTypeI64, api.ValueTypeF64
	return []signature{
		{"alloc", []api.ValueType{i32}, []api.ValueType{i32}, false},
		{"observe", []api.ValueType{i64, i64, f64}, []api.ValueType{f64}, false},
		{"name", nil, []api.ValueType{i64}, true},
		{"describe", []api.ValueType{i64, i32, i32}, nil, true},
	}
}

// check holds a module against what is asked of it.
func check(m wazero.CompiledModule, pages uint32) error {
	var errs []error
	memory, ok := m.ExportedMemories()["memory"]
	switch {
	case !ok:
		errs = append(errs, errors.New("the module does not export memory"))
	case memory.Min() > pages:
		errs = append(errs, fmt.Errorf("the module begins with %d pages of memory, it may have %d", memory.Min(), pages))
	}
	if len(m.ImportedMemories()) > 0 {
		errs = append(errs, errors.New("the module imports memory"))
	}
	for _, f := range m.ImportedFunctions() {
		if from, name, _ := f.Import(); from != wasi_snapshot_preview1.ModuleName {
			errs = append(errs, fmt.Errorf("the module imports %s.%s, which Norn does not have", from, name))
		}
	}
	have := m.ExportedFunctions()
	for _, want := range signatures() {
		f := have[want.name]
		if f == nil {
			if !want.optional {
				errs = append(errs, fmt.Errorf("the module does not export %s", want))
			}
			continue
		}
		if got := (signature{name: want.name, params: f.ParamTypes(), result: f.ResultTypes()}); got.String() != want.String() {
			errs = append(errs, fmt.Errorf("the module exports %s, it must be %s", got, want))
		}
	}
	return errors.Join(errs...)
}

// String writes a signature as docs/plugins.md does.
func (s signature) String() string {
	list := func(types []api.ValueType) string {
		var out []string
		for _, t := range types {
			out = append(out, api.ValueTypeName(t))
		}
		return strings.Join(out, ", ")
	}
	text := s.name + "(" + list(s.params) + ")"
	if len(s.result) > 0 {
		text += " -> " + list(s.result)
	}
	return text
}

// instance is one running copy of a module.
type instance struct {
	o       Options
	limiter *limiter

	mu       sync.Mutex // guards what follows: a module runs one call at a time
	module   api.Module
	alloc    api.Function
	observe  api.Function
	describe api.Function // nil when the module has none
	named    api.Function // likewise
	known    map[telemetry.SeriesID]bool
	stack    [3]uint64
}

func newInstance(ctx context.Context, r wazero.Runtime, compiled wazero.CompiledModule, o Options) (*instance, error) {
	in := &instance{o: o, limiter: &limiter{most: uint64(o.MemoryPages) * pageBytes}, known: map[telemetry.SeriesID]bool{}}
	limited, cancel := context.WithTimeout(experimental.WithMemoryAllocator(ctx, in.limiter), o.StartTime)
	defer cancel()
	var err error
	in.module, err = r.InstantiateModule(limited, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err = in.reason(err, o.StartTime.String()); err != nil {
		return nil, fmt.Errorf("the module cannot be started: %w", err)
	}
	in.alloc, in.observe = in.module.ExportedFunction("alloc"), in.module.ExportedFunction("observe")
	in.describe, in.named = in.module.ExportedFunction("describe"), in.module.ExportedFunction("name")
	return in, nil
}

// reason tells why a call failed; a request for too much memory is a failure
// even where the module copes with it.
func (in *instance) reason(err error, limit string) error {
	if n := in.limiter.refused.Load(); n > 0 {
		return fmt.Errorf("asked for %d bytes of memory, it may have %d", n, in.limiter.most)
	}
	if err == nil {
		return nil
	}
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case sys.ExitCodeDeadlineExceeded:
			return fmt.Errorf("took longer than %s", limit)
		case sys.ExitCodeContextCanceled:
			return err
		}
		return fmt.Errorf("ended itself with code %d", exit.ExitCode())
	}
	text, _, _ := strings.Cut(err.Error(), "\n") // without the stack
	return errors.New(text)
}

// call runs one function of the module within its time. What it gives is in
// the first words of the stack.
func (in *instance) call(ctx context.Context, f api.Function, stack []uint64) (err error) {
	// a caller who goes away must not end the module
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.o.CallTime)
	defer cancel()
	defer func() {
		if v := recover(); v != nil { // a bug of the runtime is the module's end, not ours
			err = fmt.Errorf("the runtime failed: %v", v)
		}
	}()
	return in.reason(f.CallWithStack(limited, stack), in.o.CallTime.String())
}

func (in *instance) score(ctx context.Context, p *telemetry.Point) (float64, error) {
	in.stack = [3]uint64{uint64(p.Series.ID), api.EncodeI64(p.T), api.EncodeF64(p.V)}
	if err := in.call(ctx, in.observe, in.stack[:]); err != nil {
		return math.NaN(), err
	}
	return api.DecodeF64(in.stack[0]), nil
}

// description is what a module is told of a series.
type description struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels"`
	Entity    string            `json:"entity"`
	Signal    telemetry.Signal  `json:"signal"`
	Unit      string            `json:"unit"`
	Direction int               `json:"direction"` // 1: up is bad, -1: down is bad, 0: both
}

// tell describes a series to a module that wants to know.
func (in *instance) tell(ctx context.Context, s *telemetry.Series) error {
	if in.describe == nil {
		return nil
	}
	d := description{ID: fmt.Sprint(uint64(s.ID)), Name: s.Name, Labels: map[string]string{}, Entity: s.Entity.String(),
		Signal: s.Signal, Unit: s.Unit, Direction: int(s.Direction)}
	s.Labels.Range(func(l labels.Label) { d.Labels[l.Name] = l.Value })
	raw, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("cannot describe %s: %w", s.Name, err)
	}
	stack := []uint64{uint64(len(raw))}
	if err := in.call(ctx, in.alloc, stack); err != nil {
		return fmt.Errorf("alloc: %w", err)
	}
	at := api.DecodeU32(stack[0])
	if !in.module.Memory().Write(at, raw) {
		return fmt.Errorf("alloc gave %d bytes at %d, which is outside of the module's memory", len(raw), at)
	}
	return in.call(ctx, in.describe, []uint64{uint64(s.ID), uint64(at), uint64(len(raw))})
}

// title asks a module how it calls itself.
func (in *instance) title(ctx context.Context) (string, error) {
	if in.named == nil {
		return "", nil
	}
	stack := []uint64{0}
	if err := in.call(ctx, in.named, stack); err != nil {
		return "", err
	}
	at, n := uint32(stack[0]>>32), uint32(stack[0])
	raw, ok := in.module.Memory().Read(at, min(n, maxTitle))
	if !ok {
		return "", fmt.Errorf("gave %d bytes at %d, which is outside of the module's memory", n, at)
	}
	return strings.ToValidUTF8(string(raw), "?"), nil
}

// limiter gives a module memory up to a limit. It works with the module's
// calls, one at a time; its numbers may be read at any time.
type limiter struct {
	most    uint64
	size    atomic.Uint64
	refused atomic.Uint64 // what was asked for in vain
	memory  []byte
}

// Allocate makes an empty memory.
func (l *limiter) Allocate(_, _ uint64) experimental.LinearMemory { return l }

// Reallocate grows the memory; nil when it would grow beyond the limit.
func (l *limiter) Reallocate(size uint64) []byte {
	if size > l.most {
		l.refused.CompareAndSwap(0, size)
		return nil
	}
	if uint64(cap(l.memory)) < size {
		grown := make([]byte, size, min(l.most, size+size/4))
		copy(grown, l.memory)
		l.memory = grown
	}
	l.memory = l.memory[:size]
	l.size.Store(size)
	return l.memory
}

// Free gives the memory back.
func (l *limiter) Free() {
	l.memory = nil
	l.size.Store(0)
}
