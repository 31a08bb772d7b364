package tsdb

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// metaFile keeps what senders said of metrics (type, unit, help) across
// restarts: one JSON object a line, appended when something new is said, the
// last line of a name counts. It is rewritten when it is opened.
type metaFile struct{ f *os.File }

type metaLine struct {
	Name string           `json:"name"`
	Type model.MetricType `json:"type"`
	Unit string           `json:"unit,omitempty"`
	Help string           `json:"help,omitempty"`
}

// maxMetaNames bounds the names that are kept.
const maxMetaNames = 100_000

const metaName = "metadata.jsonl"

// readMeta reads the file; none is an empty one.
func readMeta(path string) (map[string]metadata.Metadata, error) {
	known := map[string]metadata.Metadata{}
	raw, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("cannot read metric metadata: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l metaLine
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Name != "" { // a kill may have torn the last line
			known[l.Name] = metadata.Metadata{Type: l.Type, Unit: l.Unit, Help: l.Help}
		}
	}
	return known, nil
}

func openMetaFile(dir string) (*metaFile, map[string]metadata.Metadata, error) {
	path := filepath.Join(dir, metaName)
	known, err := readMeta(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.CreateTemp(dir, "metadata-*.tmp")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot write metric metadata: %w", err)
	}
	m := &metaFile{f: f}
	for name, md := range known {
		if err := m.append(name, md); err != nil {
			return nil, nil, err
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, nil, fmt.Errorf("cannot replace metric metadata: %w", err)
	}
	return m, known, nil
}

func (m *metaFile) append(name string, md metadata.Metadata) error {
	line, err := json.Marshal(metaLine{Name: name, Type: md.Type, Unit: md.Unit, Help: md.Help})
	if err != nil {
		return fmt.Errorf("cannot encode the metadata of %s: %w", name, err)
	}
	if _, err := m.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("cannot keep the metadata of %s: %w", name, err)
	}
	return nil
}

// Metadata returns the type ("" when unknown) and unit that senders gave the
// metric, in this run or an earlier one.
func (d *DB) Metadata(name string) (typ, unit string) {
	d.metaMu.RLock()
	defer d.metaMu.RUnlock()
	m := d.meta[name]
	return string(m.Type), m.Unit
}
