package logread

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// DefaultMaxLine is how many bytes of a line are kept.
const DefaultMaxLine = 1 << 20

// Lines reads the lines of a text in any usual encoding: UTF-8 with or without
// a byte order mark, UTF-16 with one or recognisable by its zero bytes, and for
// lines that are not UTF-8, Windows-1252 (of which Latin-1 is a part). Lines end
// with LF or CR LF. It is used by one goroutine at a time.
type Lines struct {
	in     *bufio.Reader
	max    int
	buf    []byte
	offset int64
	cut    bool
}

// NewLines makes a reader of lines. max bounds the bytes of a line that are
// kept; 0 means [DefaultMaxLine].
func NewLines(r io.Reader, max int) *Lines {
	if max <= 0 {
		max = DefaultMaxLine
	}
	return &Lines{in: decoded(bufio.NewReaderSize(r, 64<<10)), max: max}
}

// LinesFrom makes a reader of the lines of a text that is UTF-8 or Windows-1252
// and has no byte order mark, from an offset on, at which r stands. Unlike
// [NewLines] it reads nothing ahead of the first line.
func LinesFrom(r io.Reader, max int, offset int64) *Lines {
	if max <= 0 {
		max = DefaultMaxLine
	}
	return &Lines{in: bufio.NewReaderSize(r, 64<<10), max: max, offset: offset}
}

// Plain reports whether a text that begins with head has no byte order mark
// and is not UTF-16, so that [LinesFrom] can read it.
func Plain(head []byte) bool {
	if len(head) >= 2 && (head[0] == 0xFF && head[1] == 0xFE || head[0] == 0xFE && head[1] == 0xFF) {
		return false
	}
	return !zeros(head, 0) && !zeros(head, 1) && !(len(head) >= 3 && head[0] == 0xEF && head[1] == 0xBB && head[2] == 0xBF)
}

// decoded takes a byte order mark off and decodes UTF-16.
func decoded(in *bufio.Reader) *bufio.Reader {
	head, _ := in.Peek(256) // what cannot be read now fails later
	var e unicode.Endianness
	switch {
	case len(head) >= 3 && head[0] == 0xEF && head[1] == 0xBB && head[2] == 0xBF:
		_, _ = in.Discard(3) // peeked before
		return in
	case len(head) >= 2 && head[0] == 0xFF && head[1] == 0xFE, zeros(head, 1):
		e = unicode.LittleEndian
	case len(head) >= 2 && head[0] == 0xFE && head[1] == 0xFF, zeros(head, 0):
		e = unicode.BigEndian
	default:
		return in
	}
	return bufio.NewReaderSize(transform.NewReader(in, unicode.UTF16(e, unicode.UseBOM).NewDecoder()), 64<<10)
}

// zeros reports whether nearly every second byte, from the given one on, is
// zero and the others are not.
func zeros(head []byte, from int) bool {
	if len(head) < 16 {
		return false
	}
	yes, no := 0, 0
	for i, c := range head {
		switch {
		case c != 0:
		case i%2 == from:
			yes++
		default:
			no++
		}
	}
	return no == 0 && yes*10 >= len(head)/2*9
}

// Line is one line of a stream.
type Line struct {
	Text       string // without its end
	Begin, End int64  // offsets in the decoded text: where it begins, and where the next begins
	Cut        bool   // it was longer than the limit
	Time       int64  // Unix ns, of a line without a time of its own; 0 when nobody knows
}

// Next returns the next line. whole is false for a last line that no line end
// follows: more of it may come. The error is io.EOF at the end, or that of the
// reader.
func (l *Lines) Next() (line Line, whole bool, err error) {
	l.buf, l.cut = l.buf[:0], false
	begin := l.offset
	for {
		part, err := l.in.ReadSlice('\n')
		l.keep(part)
		l.offset += int64(len(part))
		switch {
		case err == nil:
			return l.line(begin), true, nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			if l.offset == begin {
				return Line{}, false, io.EOF
			}
			return l.line(begin), false, nil
		default:
			return Line{}, false, fmt.Errorf("cannot read the lines: %w", err)
		}
	}
}

func (l *Lines) keep(part []byte) {
	if room := l.max + 2 - len(l.buf); len(part) > room {
		part = part[:max(room, 0)]
		l.cut = true
	}
	l.buf = append(l.buf, part...)
}

func (l *Lines) line(begin int64) Line {
	text := l.text()
	return Line{Text: text, Begin: begin, End: l.offset, Cut: l.cut}
}

func (l *Lines) text() string {
	b := l.buf
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	if len(b) > l.max {
		b, l.cut = b[:l.max], true
	}
	return Repair(string(b))
}

// Repair makes a line valid UTF-8 without NUL bytes: those are dropped (they
// are what a truncated file leaves behind); a line that is not UTF-8 and holds
// no sequence of UTF-8 either is taken as Windows-1252; in others each run of
// bad bytes becomes U+FFFD.
func Repair(line string) string {
	if strings.IndexByte(line, 0) >= 0 {
		line = strings.ReplaceAll(line, "\x00", "")
	}
	if utf8.ValidString(line) {
		return line
	}
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRuneInString(line[i:])
		if r != utf8.RuneError && n > 1 {
			return strings.ToValidUTF8(line, "\uFFFD")
		}
		i += n
	}
	text, err := charmap.Windows1252.NewDecoder().String(line)
	if err != nil {
		return strings.ToValidUTF8(line, "\uFFFD")
	}
	return text
}
