package wasm

import (
	"encoding/binary"
	"slices"
)

// mod is a WebAssembly module in the making: bodies of the functions of the
// ABI as instructions, nil for those that it lacks. It says just enough for
// these tests; the sections are those of the core specification.
type mod struct {
	alloc, observe, name, describe, start []byte

	imports  [][2]string // functions of type ()->()
	pages    uint64      // of memory at the start
	noMemory bool
	table    uint64 // entries at the start, without a largest size
	wrong    bool   // observe takes and gives i32
}

func f64const(v uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{0x44}, v) }

func instructions(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case []byte:
			out = append(out, p...)
		}
	}
	return append(out, 0x0b)
}

// signed writes a signed LEB128 number.
func signed(v int64) (out []byte) {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func vec(items ...[]byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(items))), slices.Concat(items...)...)
}

func text(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }

func (m mod) bytes() []byte {
	const i32, i64, f64 = 0x7f, 0x7e, 0x7c
	types := [][]byte{
		{0x60, 1, i32, 1, i32}, {0x60, 3, i64, i64, f64, 1, f64}, {0x60, 0, 1, i64}, {0x60, 3, i64, i32, i32, 0}, {0x60, 0, 0},
	}
	var imports, funcs, exports, bodies [][]byte
	for _, im := range m.imports {
		imports = append(imports, slices.Concat(text(im[0]), text(im[1]), []byte{0, 4}))
	}
	add := func(name string, typ byte, body []byte) {
		if body == nil {
			return
		}
		index := len(imports) + len(funcs)
		funcs = append(funcs, []byte{typ})
		exports = append(exports, slices.Concat(text(name), []byte{0}, binary.AppendUvarint(nil, uint64(index))))
		code := append([]byte{0}, body...) // no locals
		bodies = append(bodies, append(binary.AppendUvarint(nil, uint64(len(code))), code...))
	}
	add("alloc", 0, m.alloc)
	typ := byte(1)
	if m.wrong {
		typ = 0
	}
	add("observe", typ, m.observe)
	add("name", 2, m.name)
	add("describe", 3, m.describe)
	add("_initialize", 4, m.start)
	if !m.noMemory {
		exports = append(exports, slices.Concat(text("memory"), []byte{2, 0}))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) {
		out = append(out, id)
		out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
	}
	section(1, vec(types...))
	section(2, vec(imports...))
	section(3, vec(funcs...))
	if m.table > 0 {
		section(4, vec(slices.Concat([]byte{0x70, 0}, binary.AppendUvarint(nil, m.table))))
	}
	section(5, vec(slices.Concat([]byte{0}, binary.AppendUvarint(nil, max(1, m.pages)))))
	section(7, vec(exports...))
	section(10, vec(bodies...))
	return out
}
