// Package file reads logs from files: once, as history ([Import]), and as they
// are written ([Tail]).
//
// It exists so that a log that only lies on a disk needs no agent and no
// configuration. Compressed files (gzip, zstandard, bzip2, xz) are told by
// their first bytes, rotated ones are put in order by their names, and what a
// line holds is found out by logread. It masks nothing and judges nothing.
//
// Every record carries the identity of its file (a hash of its beginning, so
// that a rotated or compressed file is the same file) and its place in it. So
// what is in the store already is known, wherever an earlier run was ended:
// nothing is brought in twice, nothing is lost.
//
// [Import] runs on the goroutine of its caller. A [Tail] has one goroutine for
// each file that it follows; all of them end with its context. The tail polls:
// file systems that tell of changes are not the only ones that hold logs, and
// libraries that follow files do not find a file again that was rotated while
// they were away.
package file

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// headBytes is how much of a file's text identifies it.
const headBytes = 4096

// errBinary says that a file holds no text.
var errBinary = errors.New("not a text file")

// unpacked takes the compression off a file, told by its first bytes.
func unpacked(raw io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReaderSize(raw, 64<<10)
	head, _ := in.Peek(6) // what cannot be read now fails later
	nothing := func() {}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read gzip: %w", err)
		}
		return r, func() { _ = r.Close() }, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<29))
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read zstandard: %w", err)
		}
		return r, r.Close, nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(in), nothing, nil
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		r, err := xz.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read xz: %w", err)
		}
		return r, nothing, nil
	}
	return in, nothing, nil
}

// identity names a text by its beginning and the service that it is read for.
func identity(head []byte, service string) string {
	h := fnv.New64a()
	_, _ = h.Write(head)
	_, _ = h.Write([]byte("\x00" + service))
	return fmt.Sprintf("%016x", h.Sum64())
}

// checkText refuses what is no text: archives and many control characters.
func checkText(head []byte) error {
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return fmt.Errorf("%w: a tar archive; unpack it first", errBinary)
	}
	bad, zeros := 0, 0
	for _, c := range head {
		switch {
		case c == 0:
			zeros++
		case c < 32 && c != '\n' && c != '\r' && c != '\t' && c != 27:
			bad++
		}
	}
	// UTF-16 has a zero in every second byte; a truncated log begins with zeros only.
	if bad*10 > len(head) || bad*50 > len(head) && zeros > bad {
		return errBinary
	}
	return nil
}

// Expand lists the files that paths name: files, folders (with all below them,
// but for hidden ones) and patterns. Files of one log that was rotated come
// oldest first: app.log.2.gz, app.log.1, app.log. A path that names nothing is
// an error.
func Expand(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		names := []string{p}
		if _, err := os.Stat(p); err != nil {
			if names, err = filepath.Glob(p); err != nil {
				return nil, fmt.Errorf("pattern %s: %w", p, err)
			}
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%s: %w", p, os.ErrNotExist)
		}
		for _, name := range names {
			more, err := below(name)
			if err != nil {
				return nil, err
			}
			files = append(files, more...)
		}
	}
	slices.SortStableFunc(files, func(a, b string) int { return rank(a).compare(rank(b)) })
	return slices.Compact(files), nil
}

// below lists the regular files of a folder, or the file itself.
func below(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case d.Type().IsRegular(), path == root && !d.IsDir():
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", root, err)
	}
	return files, nil
}

// rotation is where a file stands among those of its log.
type rotation struct {
	stem   string // the log's path
	number int    // app.log.2: the higher the older
	date   string // app.log-20261124: the smaller the older
}

// rank takes compression, numbers and dates off a file's name.
func rank(path string) rotation {
	name := path
	for _, ext := range [...]string{".gz", ".zst", ".bz2", ".xz", ".zstd"} {
		name = strings.TrimSuffix(name, ext)
	}
	r := rotation{stem: name}
	dir, base := filepath.Split(name)
	var kept []string
	for i, part := range strings.FieldsFunc(base, func(c rune) bool { return c == '.' || c == '-' || c == '_' }) {
		n, err := strconv.Atoi(part)
		switch {
		case err != nil || i == 0:
			kept = append(kept, part)
		case len(part) <= 3 && r.date == "":
			r.number = n
		default:
			r.date += part
		}
	}
	r.stem = dir + strings.Join(kept, ".")
	return r
}

func (r rotation) compare(s rotation) int {
	if c := strings.Compare(r.stem, s.stem); c != 0 {
		return c
	}
	if r.date != s.date { // the file without a date is the one that is written
		switch {
		case r.date == "":
			return 1
		case s.date == "":
			return -1
		}
		return strings.Compare(r.date, s.date)
	}
	return s.number - r.number
}

// serviceOf names a service by the path of its log: the name of the file, or
// of its folder where the file's says nothing.
func serviceOf(path string) string {
	stem := rank(path).stem
	dir, base := filepath.Split(stem)
	name := strings.TrimSuffix(strings.TrimSuffix(base, ".log"), ".txt")
	for range 3 {
		if !speaksOfNothing(name) {
			return name
		}
		parent := filepath.Base(filepath.Clean(dir))
		if parent == "." || parent == string(filepath.Separator) {
			break
		}
		name, dir = parent, filepath.Dir(filepath.Clean(dir))
	}
	return strings.TrimSuffix(base, ".log")
}

func speaksOfNothing(name string) bool {
	switch strings.ToLower(name) {
	case "", "log", "logs", "access", "error", "errors", "out", "output", "stdout", "stderr", "console", "app", "application", "server", "current", "debug", "info", "main", "var", "tmp":
		return true
	}
	return false
}
