package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/plugin/wasm"
	"github.com/norn-aiops/norn/internal/rules"
)

// loadedPlugin is a plugin of the configuration file, or why there is none.
type loadedPlugin struct {
	config config.Plugin
	plugin *wasm.Plugin // nil when it could not be loaded
	err    error
}

// loadPlugins loads the modules. One that cannot be loaded is said and shown;
// the others, and Norn, go on without it.
func loadPlugins(ctx context.Context, list []config.Plugin, log *slog.Logger) []loadedPlugin {
	out := make([]loadedPlugin, 0, len(list))
	for _, c := range list {
		p, err := loadPlugin(ctx, c)
		if err != nil {
			log.Error("plugin cannot be used", "plugin", c.Name, "path", c.Path, "err", err)
		}
		out = append(out, loadedPlugin{c, p, err})
	}
	return out
}

func loadPlugin(ctx context.Context, c config.Plugin) (*wasm.Plugin, error) {
	code, err := os.ReadFile(c.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the module: %w", err)
	}
	return wasm.Load(ctx, code, wasm.Options{
		MemoryPages: uint32(c.Limits.Memory), CallTime: time.Duration(c.Limits.CallTime),
		Instances: c.Limits.Instances, MaxSeries: c.Limits.Series,
	})
}

// CheckPlugins loads every module of a configuration and lets it go again. The
// error names those that cannot be used.
func CheckPlugins(ctx context.Context, c config.Config) error {
	var errs []error
	for i, x := range c.Detect.Plugins {
		p, err := loadPlugin(ctx, x)
		if err == nil {
			err = p.Close(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("detection.plugins[%d] (%s): %s: %w", i, x.Name, x.Path, err))
		}
	}
	return errors.Join(errs...)
}

// stagePlugins gives the plugins to the pipeline.
func stagePlugins(list []loadedPlugin) ([]pipeline.Plugin, error) {
	out := make([]pipeline.Plugin, 0, len(list))
	for _, l := range list {
		m, err := rules.NewMatcher(l.config.Match)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", l.config.Name, err)
		}
		p := pipeline.Plugin{Name: l.config.Name, Match: m, Threshold: l.config.Threshold, Weight: l.config.Weight}
		if l.plugin != nil {
			p.Scorer = l.plugin
		}
		out = append(out, p)
	}
	return out, nil
}

func closePlugins(list []loadedPlugin) error {
	var errs []error
	for _, l := range list {
		if l.plugin != nil {
			errs = append(errs, l.plugin.Close(context.Background()))
		}
	}
	return errors.Join(errs...)
}

// pluginStates shows how the plugins do.
func pluginStates(list []loadedPlugin, pipe *pipeline.Pipeline) []api.PluginState {
	stats := pipe.PluginStats()
	out := make([]api.PluginState, 0, len(list))
	for i, l := range list {
		s := api.PluginState{Name: l.config.Name, Path: l.config.Path, Dropped: stats[i].Dropped, Raised: stats[i].Raised}
		if l.err != nil {
			s.Off = l.err.Error()
		}
		if l.plugin != nil {
			st := l.plugin.State()
			s.Title, s.Off, s.Series, s.Points, s.Unserved, s.MemoryBytes = st.Title, st.Off, st.Series, st.Calls, st.Unserved, st.Memory
			if st.Calls > 0 {
				s.NSPerPoint = int64(st.TookNS / st.Calls)
			}
		}
		out = append(out, s)
	}
	return out
}
