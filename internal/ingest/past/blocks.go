package past

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/norn-aiops/norn/internal/store"
)

// Blocks reads the blocks of a Prometheus data directory, of a snapshot, or one
// block, and what is only in a write-ahead log beside them. Nothing in the
// directory is changed. A block or a series that is damaged is noted; all
// others are read.
func Blocks(ctx context.Context, dir string, to Sink, sum *Summary, progress Progress) error {
	found, err := findBlocks(dir)
	if err != nil {
		return err
	}
	_, walErr := os.Stat(filepath.Join(dir, "wal"))
	if len(found) == 0 && walErr != nil {
		return fmt.Errorf("%s holds neither blocks nor a write-ahead log of Prometheus", dir)
	}
	type part struct {
		path  string
		block *tsdb.Block
	}
	var parts []part
	defer func() {
		for _, p := range parts {
			_ = p.block.Close()
		}
	}()
	for _, path := range found {
		b, err := openBlock(path)
		if err != nil {
			sum.Note("block "+filepath.Base(path), err)
			continue
		}
		parts = append(parts, part{path, b})
	}
	slices.SortFunc(parts, func(a, b part) int { return int(min(1, max(-1, a.block.MinTime()-b.block.MinTime()))) })
	var total, done float64 = 1, 0
	for _, p := range parts {
		total += float64(p.block.Meta().Stats.NumSamples)
	}
	for _, p := range parts {
		m := p.block.Meta()
		name := "block " + filepath.Base(p.path)
		err := guarded(name, sum, func() error {
			q, err := tsdb.NewBlockQuerier(p.block, m.MinTime, m.MaxTime)
			if err != nil {
				sum.Note(name, err)
				return nil
			}
			defer q.Close()
			size := float64(m.Stats.NumSamples) / float64(max(1, m.Stats.NumSeries))
			return sendAll(ctx, to, q, name, sum, func(n int) { progress((done + float64(n)*size) / total) })
		})
		if err != nil {
			return err
		}
		done += float64(m.Stats.NumSamples)
	}
	if walErr == nil {
		return readLog(ctx, dir, to, sum)
	}
	return nil
}

func findBlocks(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "meta.json")); err == nil {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the directory: %w", err)
	}
	var out []string
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err == nil && e.IsDir() {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// openBlock opens one; what is damaged may make the library panic.
func openBlock(path string) (b *tsdb.Block, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is damaged: %v", r)
		}
	}()
	return tsdb.OpenBlock(promslog.NewNopLogger(), path, nil, nil)
}

// guarded turns a panic of the library on damaged data into a note.
func guarded(where string, sum *Summary, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			sum.Note(where, fmt.Errorf("it is damaged: %v", r))
		}
	}()
	return f()
}

// sendAll hands over all series of a querier.
func sendAll(ctx context.Context, to Sink, q storage.Querier, where string, sum *Summary, progress func(n int)) error {
	set := q.Select(ctx, false, nil, &labels.Matcher{Type: labels.MatchEqual})
	var it chunkenc.Iterator
	var buf []store.ImportSample
	for n := 1; set.Next(); n++ {
		var wrong, err error
		it, buf, wrong, err = sendSeries(ctx, to, set.At(), it, buf)
		if wrong != nil {
			sum.Note(where, wrong)
			it = nil
		}
		if err != nil {
			return err
		}
		progress(n)
	}
	if err := set.Err(); err != nil && ctx.Err() == nil {
		sum.Note(where, err)
	}
	return ctx.Err()
}

// readLog reads a write-ahead log without the blocks beside it, so that a
// damaged block does not matter.
func readLog(ctx context.Context, dir string, to Sink, sum *Summary) (err error) {
	tmp, err := os.MkdirTemp("", "norn-wal-")
	if err != nil {
		return fmt.Errorf("cannot make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	alone, sandbox := filepath.Join(tmp, "db"), filepath.Join(tmp, "sandbox")
	for _, d := range []string{alone, sandbox} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return fmt.Errorf("cannot make a directory: %w", err)
		}
	}
	for _, part := range []string{"wal", "wbl", "chunks_head"} {
		from, err := filepath.Abs(filepath.Join(dir, part))
		if err != nil {
			return fmt.Errorf("cannot find %s: %w", part, err)
		}
		if _, err := os.Stat(from); err == nil {
			if err := os.Symlink(from, filepath.Join(alone, part)); err != nil {
				return fmt.Errorf("cannot read %s: %w", part, err)
			}
		}
	}
	const name = "write-ahead log"
	return guarded(name, sum, func() error {
		db, err := tsdb.OpenDBReadOnly(alone, sandbox, promslog.NewNopLogger())
		if err != nil {
			sum.Note(name, err)
			return nil
		}
		defer db.Close()
		q, err := db.Querier(0, 1<<62)
		if err != nil {
			sum.Note(name, err)
			return nil
		}
		defer q.Close()
		return sendAll(ctx, to, q, name, sum, func(int) {})
	})
}
