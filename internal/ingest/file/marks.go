package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// markBytes is how much of a file's beginning a mark knows it by.
const markBytes = 1024

// mark is how far a file was read.
type mark struct {
	Path   string `json:"path"`
	ID     string `json:"id"`     // of its records
	Head   uint64 `json:"head"`   // hash of its first N bytes
	N      int    `json:"n"`      //
	Offset int64  `json:"offset"` // in the decoded text, behind the last record that is durable
	Done   bool   `json:"done"`   // read to its end, and rotated away
}

// marks is the table of all files, kept in a file of its own. It is safe for
// concurrent use.
type marks struct {
	path string

	mu    sync.Mutex
	table map[string]mark
	dirty bool
}

func loadMarks(path string) (*marks, error) {
	m := &marks{path: path, table: map[string]mark{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read how far files were read: %w", err)
	}
	if err := json.Unmarshal(raw, &m.table); err != nil {
		return nil, fmt.Errorf("cannot understand %s: %w", path, err)
	}
	return m, nil
}

func (m *marks) get(path string) (mark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.table[path]
	return k, ok
}

func (m *marks) set(k mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table[k.Path] != k {
		m.table[k.Path] = k
		m.dirty = true
	}
}

// save writes the table if it changed: whole, and then in the old one's place.
func (m *marks) save() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirty {
		return nil
	}
	raw, err := json.MarshalIndent(m.table, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(m.path), 0o750)
	}
	tmp := m.path + ".tmp"
	if err == nil {
		err = os.WriteFile(tmp, raw, 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, m.path)
	}
	if err != nil {
		return fmt.Errorf("cannot keep how far files were read: %w", err)
	}
	m.dirty = false
	return nil
}

// headOf reads the first n bytes of a text; fewer when it has not so many.
func headOf(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, n)
	k, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buf[:k], err
}

func hashHead(head []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(head)
	return h.Sum64()
}

// fits reports whether a text that begins with head is the mark's.
func (k mark) fits(head []byte) bool {
	return k.N > 0 && len(head) >= k.N && hashHead(head[:k.N]) == k.Head
}
