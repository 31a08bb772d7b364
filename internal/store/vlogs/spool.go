package vlogs

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// row is one line or span on its way into the storage.
type row struct {
	time   int64  // Unix ns
	id     uint64 // identity for dedup, 0 for none
	fields []logstorage.Field
}

func (r *row) size() int64 {
	n := int64(64)
	for i := range r.fields {
		n += int64(len(r.fields[i].Name) + len(r.fields[i].Value) + 32)
	}
	return n
}

// batch is some rows with consecutive sequence numbers.
type batch struct {
	first uint64 // sequence number of rows[0]
	wall  int64  // Unix ms when it was appended
	rows  []row
	size  int64
	held  int64         // of the queue's bytes
	flush chan struct{} // when set, the batch is only a request to make all before it visible
}

const (
	spoolVersion = 1
	maxRecord    = 4 << 20 // bytes after which a new record is begun
)

// A record is: version, uvarint first sequence number, varint wall time, then
// rows until its end. A row is: 8 bytes identity, varint time, uvarint number
// of fields, and per field uvarint length and bytes of name and value.

func appendHeader(dst []byte, first uint64, wall int64) []byte {
	dst = append(dst, spoolVersion)
	dst = binary.AppendUvarint(dst, first)
	return binary.AppendVarint(dst, wall)
}

func appendRow(dst []byte, r *row) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, r.id)
	dst = binary.AppendVarint(dst, r.time)
	dst = binary.AppendUvarint(dst, uint64(len(r.fields)))
	for i := range r.fields {
		dst = appendString(dst, r.fields[i].Name)
		dst = appendString(dst, r.fields[i].Value)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

var errRecord = errors.New("spool record is malformed")

// decodeBatch reads a record. The strings are copies.
func decodeBatch(rec []byte) (batch, error) {
	var b batch
	if len(rec) == 0 || rec[0] != spoolVersion {
		return b, fmt.Errorf("%w: unknown version", errRecord)
	}
	d := decoder{b: rec[1:]}
	b.first = d.uvarint()
	b.wall = d.varint()
	for len(d.b) > 0 && !d.bad {
		var r row
		if len(d.b) < 8 {
			return b, errRecord
		}
		r.id = binary.LittleEndian.Uint64(d.b)
		d.b = d.b[8:]
		r.time = d.varint()
		n := d.uvarint()
		if n > uint64(len(d.b)) {
			return b, errRecord
		}
		r.fields = make([]logstorage.Field, 0, n)
		for range n {
			name := d.str()
			r.fields = append(r.fields, logstorage.Field{Name: name, Value: d.str()})
		}
		b.rows = append(b.rows, r)
		b.size += r.size()
	}
	if d.bad {
		return b, errRecord
	}
	return b, nil
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) str() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// segment is what is known of one spool file.
type segment struct {
	index int
	last  uint64 // sequence number of its last row, 0 when it has none
	wall  int64  // Unix ms of its last append
	bytes int64
}

// readSegments visits every readable record of the spool, oldest first, and
// describes the files. A torn or damaged record ends its file: records never
// cross files, so later files are read all the same. damaged names what was
// passed over.
func readSegments(dir string, visit func(batch) error) (segs []segment, damaged []error, err error) {
	first, last, err := wlog.Segments(dir)
	if errors.Is(err, os.ErrNotExist) || (err == nil && first < 0) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list the spool %s: %w", dir, err)
	}
	for i := first; i <= last; i++ {
		s, bad, err := readSegment(dir, i, visit)
		if err != nil {
			return segs, damaged, err
		}
		if bad != nil {
			damaged = append(damaged, bad)
		}
		segs = append(segs, s)
	}
	return segs, damaged, nil
}

func readSegment(dir string, index int, visit func(batch) error) (s segment, bad, err error) {
	s.index = index
	f, err := os.Open(wlog.SegmentName(dir, index))
	if err != nil {
		return s, nil, fmt.Errorf("cannot read the spool: %w", err)
	}
	defer f.Close()
	r := wlog.NewReader(bufio.NewReaderSize(f, 1<<16))
	for r.Next() {
		b, err := decodeBatch(r.Record())
		if err != nil {
			return s, fmt.Errorf("spool file %s: %w", f.Name(), err), nil
		}
		s.bytes += int64(len(r.Record()))
		s.wall = max(s.wall, b.wall)
		if n := uint64(len(b.rows)); n > 0 {
			s.last = b.first + n - 1
		}
		if err := visit(b); err != nil {
			return s, nil, err
		}
	}
	if err := r.Err(); err != nil {
		bad = fmt.Errorf("spool file %s: %w", f.Name(), err)
	}
	return s, bad, nil
}

// checkpoint says that the storage has all rows up to Seq in files.
type checkpoint struct {
	Seq   uint64      `json:"seq"`
	Voids [][2]uint64 `json:"voids,omitempty"` // first and last row of writes that failed and were not acknowledged
}

// void reports whether the batch that begins with first belongs to a write
// that failed.
func (c checkpoint) void(first uint64) bool {
	for _, v := range c.Voids {
		if first >= v[0] && first <= v[1] {
			return true
		}
	}
	return false
}

func readCheckpoint(dir string) (checkpoint, error) {
	var c checkpoint
	b, err := os.ReadFile(filepath.Join(dir, "checkpoint.json"))
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("cannot read the checkpoint: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("cannot read the checkpoint in %s: %w", dir, err)
	}
	return c, nil
}

// write replaces the checkpoint at once: a crash leaves the old or the new.
func (c checkpoint) write(dir string) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "checkpoint.json")
	f, err := os.Create(name + ".tmp")
	if err != nil {
		return fmt.Errorf("cannot write the checkpoint: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		return fmt.Errorf("cannot write the checkpoint: %w", err)
	}
	return nil
}
