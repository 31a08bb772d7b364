package vlogs_test

import (
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/storetest"
	"github.com/norn-aiops/norn/internal/store/vlogs"
)

// A hundred years back: recorded incidents must be welcome.
func options() vlogs.Options {
	return vlogs.Options{Retention: 100 * 365 * 24 * time.Hour, Checkpoint: 300 * time.Millisecond}
}

func openLogs(t *testing.T, dir string) store.Logs {
	t.Helper()
	l, err := vlogs.OpenLogs(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLogs(t *testing.T) { storetest.RunLogs(t, openLogs) }

func TestLogsCrash(t *testing.T) { storetest.RunLogsCrash(t, openLogs) }

func openTraces(t *testing.T, dir string) store.Traces {
	t.Helper()
	s, err := vlogs.OpenTraces(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTraces(t *testing.T) { storetest.RunTraces(t, openTraces) }

func TestTracesCrash(t *testing.T) { storetest.RunTracesCrash(t, openTraces) }
