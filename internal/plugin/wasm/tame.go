package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	maxModule = 32 << 20 // bytes of code
	maxTable  = 100_000  // entries
	sectTable = 4
)

var (
	errCut  = errors.New("it ends too early")
	errKind = errors.New("it is not WebAssembly of version 1")
)

// tame checks the frame of a module and bounds its tables, which lie outside
// of its memory: one without a largest size may not grow. The sections are
// those of the WebAssembly core specification, 5.5.
func tame(code []byte) ([]byte, error) {
	if len(code) > maxModule {
		return nil, fmt.Errorf("%d bytes are too many, at most %d", len(code), maxModule)
	}
	head := []byte("\x00asm\x01\x00\x00\x00")
	if !bytes.HasPrefix(code, head) {
		return nil, errKind
	}
	out := bytes.Clone(head)
	for rest := code[len(head):]; len(rest) > 0; {
		id := rest[0]
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || n > 5 || size > uint64(len(rest)-1-n) {
			return nil, errCut
		}
		body := rest[1+n : 1+n+int(size)]
		rest = rest[1+n+int(size):]
		if id == sectTable {
			var err error
			if body, err = boundTables(body); err != nil {
				return nil, err
			}
		}
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

// boundTables writes a table section anew with a largest size in every table.
func boundTables(body []byte) ([]byte, error) {
	number := func() (uint64, error) {
		v, n := binary.Uvarint(body)
		if n <= 0 || n > 5 {
			return 0, errCut
		}
		body = body[n:]
		return v, nil
	}
	count, err := number()
	if err != nil {
		return nil, err
	}
	if count > 16 {
		return nil, fmt.Errorf("it has %d tables, at most 16", count)
	}
	out := binary.AppendUvarint(nil, count)
	for range count {
		if len(body) < 2 || body[1] > 1 {
			return nil, errors.New("it has a table of a kind that is not known")
		}
		kind, bounded := body[0], body[1] == 1
		body = body[2:]
		least, err := number()
		if err != nil {
			return nil, err
		}
		most := least
		if bounded {
			if most, err = number(); err != nil {
				return nil, err
			}
		}
		if least > maxTable {
			return nil, fmt.Errorf("it has a table of %d entries, at most %d", least, maxTable)
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, least)
		out = binary.AppendUvarint(out, max(least, min(most, maxTable)))
	}
	if len(body) > 0 {
		return nil, errors.New("its table section is too long")
	}
	return out, nil
}
