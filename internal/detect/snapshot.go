package detect

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// The snapshot is: magic with a version byte; one frame a series (length, a
// byte that is 1 in the counter tier, walked state, CRC-32C), all
// little-endian; a frame of length 0; the number
// of series, the time at which the feed came back, and their CRC.
const (
	snapshotMagic   = "NORNDET"
	snapshotVersion = 7
	maxFrame        = 1 << 20
)

// ErrSnapshot is returned (wrapped) when a snapshot cannot be used.
var ErrSnapshot = errors.New("detector snapshot is damaged or of another version")

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Snapshot writes the state of all series. Each series is consistent in
// itself; points that arrive meanwhile are in it or not. Writing happens
// outside of the locks.
func (e *Engine) Snapshot(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	head := append([]byte(snapshotMagic), snapshotVersion)
	if _, err := out.Write(head); err != nil {
		return fmt.Errorf("write detector snapshot: %w", err)
	}
	var count uint64
	for _, r := range e.allRows() {
		frames, n, err := e.encode(r)
		if err != nil {
			return fmt.Errorf("write detector snapshot: %w", err)
		}
		if _, err := out.Write(frames); err != nil {
			return fmt.Errorf("write detector snapshot: %w", err)
		}
		count += n
	}
	frames, n, err := e.encodeCounters()
	if err == nil {
		_, err = out.Write(frames)
	}
	if err != nil {
		return fmt.Errorf("write detector snapshot: %w", err)
	}
	count += n
	e.tickMu.Lock()
	back := e.feedBack
	e.tickMu.Unlock()
	c := codec{buf: make([]byte, 4)} // a frame of length 0
	c.u64(&count)
	c.i64(&back)
	c.buf = binary.LittleEndian.AppendUint32(c.buf, checksum(c.buf[4:]))
	if _, err := out.Write(c.buf); err != nil {
		return fmt.Errorf("write detector snapshot: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write detector snapshot: %w", err)
	}
	return nil
}

// encode gives the frames of a row's series.
func (e *Engine) encode(r *row) (frames []byte, n uint64, err error) {
	c := codec{}
	r.each(func(s *series) bool {
		e.settleNow(s)
		x := s.extra()
		c.frame(0, func(c *codec) {
			s.walk(c)
			x.walk(c)
		})
		n++
		return c.err == nil
	})
	return c.buf, n, c.err
}

// encodeCounters gives the frames of the counter tier.
func (e *Engine) encodeCounters() (frames []byte, n uint64, err error) {
	c := codec{}
	e.eachCounter(func(_ uint32, x *counter) bool {
		c.frame(1, x.walk)
		n++
		return c.err == nil
	})
	return c.buf, n, c.err
}

// frame writes a frame of a kind.
func (c *codec) frame(kind byte, walk func(*codec)) {
	start := len(c.buf)
	c.buf = append(c.buf, 0, 0, 0, 0, kind)
	walk(c)
	body := c.buf[start+4:]
	binary.LittleEndian.PutUint32(c.buf[start:], uint32(len(body)))
	c.buf = binary.LittleEndian.AppendUint32(c.buf, checksum(body))
}

// Restore replaces all series by those of a snapshot. On an error the engine
// is unchanged. Series beyond MaxSeries are left out and counted as not
// watched. It must not run at the same time as Observe.
func (e *Engine) Restore(r io.Reader) error {
	all, counted, back, err := e.readSnapshot(bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	for i := range e.shards {
		sh := &e.shards[i]
		sh.mu.Lock()
		sh.m, sh.counters = table{}, nil
		sh.mu.Unlock()
	}
	e.seatMu.Lock()
	e.rows.Store(nil)
	e.taken, e.vacant = 0, nil
	e.seatMu.Unlock()
	e.counters.clear()
	kept := 0
	e.full.Store(0)
	e.seasons.Store(0)
	for _, s := range all {
		if kept == e.cfg.MaxSeries {
			e.notWatched.Add(uint64(len(all) - kept))
			break
		}
		if s.extra.less == nil {
			e.keepTier(&s.det)
		}
		e.keepSeason(&s.det.base)
		if e.sit(s.series) {
			s.setExtra(s.extra)
			e.bound(s.series, s.seat())
			s.row.mu.Unlock()
		}
		kept++
	}
	for i := range counted {
		if kept == e.cfg.MaxSeries {
			break
		}
		if e.enroll(counted[i]) {
			kept++
			e.ladder.tight.Store(uint32(max(counted[i].why, shortMemory)))
		}
	}
	e.count.Store(int64(kept))
	e.tickMu.Lock()
	e.feedBack = back
	e.tickMu.Unlock()
	return nil
}

func (e *Engine) readSnapshot(r io.Reader) (all []restored, counted []counter, back int64, err error) {
	head := make([]byte, len(snapshotMagic)+1)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, nil, 0, errShort
	}
	if string(head) != snapshotMagic+string(rune(snapshotVersion)) {
		return nil, nil, 0, fmt.Errorf("it begins with %q", head)
	}
	seen := map[telemetry.SeriesID]bool{}
	for {
		body, end, err := readFrame(r)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("series %d: %w", len(all), err)
		}
		c := codec{buf: body, read: true}
		if end {
			var count uint64
			c.u64(&count)
			c.i64(&back)
			c.check(count == uint64(len(all)+len(counted)))
			return all, counted, back, c.err
		}
		s, x := readSeries(&c)
		var meta *telemetry.Series
		switch {
		case c.err != nil:
		case s.series != nil:
			meta, all = s.meta, append(all, s)
			s.det.opt = &e.options[classOf(meta)]
		default:
			meta, counted = x.meta, append(counted, *x)
		}
		if c.err == nil && seen[meta.ID] {
			c.err = errors.New("it comes twice")
		}
		if c.err != nil {
			return nil, nil, 0, fmt.Errorf("series %d: %w", len(all)+len(counted), c.err)
		}
		seen[meta.ID] = true
	}
}

// restored is a series that has no row yet.
type restored struct {
	*series
	extra extra
}

// readSeries reads the body of a frame: a series with a detector, or one of
// the counter tier.
func readSeries(c *codec) (s restored, x *counter) {
	var kind uint8
	c.u8(&kind)
	c.check(kind <= 1)
	if kind == 0 {
		s.series = &series{}
		s.walk(c)
		s.extra.walk(c)
	} else {
		x = &counter{}
		x.walk(c)
	}
	c.check(len(c.buf) == 0)
	return s, x
}

// readFrame reads one frame and checks its sum. The last one, of length 0,
// has a body of 16 bytes.
func readFrame(r io.Reader) (body []byte, end bool, err error) {
	var word [4]byte
	if _, err := io.ReadFull(r, word[:]); err != nil {
		return nil, false, errShort
	}
	n := binary.LittleEndian.Uint32(word[:])
	if end = n == 0; end {
		n = 16
	}
	if n > maxFrame {
		return nil, false, fmt.Errorf("a frame of %d bytes", n)
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, false, errShort
	}
	if _, err := io.ReadFull(r, word[:]); err != nil {
		return nil, false, errShort
	}
	if binary.LittleEndian.Uint32(word[:]) != checksum(body) {
		return nil, false, errors.New("its checksum does not fit")
	}
	return body, end, nil
}
