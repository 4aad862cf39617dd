package sqlitefile

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
)

// A SchemaRow is a row of sqlite_schema: https://www.sqlite.org/schematab.html
type SchemaRow struct {
	Kind, Name, Table string
	Root              int64
	SQL               string
}

// Virtual reports whether the row is a virtual table.
func (r SchemaRow) Virtual() bool { return r.Kind == "table" && r.Root == 0 }

// BelongsTo reports whether the row is of a table in which a virtual table keeps its data.
func (r SchemaRow) BelongsTo(virtual SchemaRow) bool {
	return strings.HasPrefix(r.Table, virtual.Name+"_") || r.Table == virtual.Name
}

// Limits of a schema that is read without SQLite.
const (
	maxSchemaPages = 4096
	maxSchemaBytes = 8 << 20
	maxSchemaLog   = 1 << 18 // frames of the WAL
)

var errSchema = errors.New("the schema cannot be read without SQLite")

// A pageReader reads pages as last committed. It holds no lock, so the pages may stem from
// different commits.
type pageReader struct {
	main, wal io.ReaderAt
	header    Header
	logged    map[int64]int64 // offsets in the WAL
	pages     int             // read so far
	bytes     int             // of rows
}

// ReadSchema lists the rows of sqlite_schema, from the main file and what is committed in the WAL.
func ReadSchema(ctx context.Context, main io.ReaderAt, h Header, wal AuxFile) ([]SchemaRow, error) {
	r := &pageReader{main: main, header: h, logged: map[int64]int64{}}
	if wal.File != nil && wal.Size > 0 {
		frame := int64(FrameHeaderSize + h.PageSize)
		if wal.Size/frame > maxSchemaLog {
			return nil, errSchema
		}
		r.wal = wal.File
		next := int64(WALHeaderSize + FrameHeaderSize)
		if _, err := WalkWAL(ctx, wal.File, wal.Size, h.PageSize, func(page int64) {
			r.logged[page], next = next, next+frame
		}); err != nil {
			return nil, err
		}
	}
	first, err := r.page(1)
	if err != nil {
		return nil, err
	}
	// That of a new database may be only in the WAL.
	r.header.Encoding = binary.BigEndian.Uint32(first[56:])
	return r.table(1, 0)
}

// page reads one whole page.
func (r *pageReader) page(number int64) ([]byte, error) {
	if r.pages++; number < 1 || r.pages > maxSchemaPages {
		return nil, errSchema
	}
	b := make([]byte, r.header.PageSize)
	from, offset := r.main, (number-1)*int64(len(b))
	if at, ok := r.logged[number]; ok {
		from, offset = r.wal, at
	}
	_, err := from.ReadAt(b, offset)
	return b, err
}

// table reads the rows of a table b-tree: https://www.sqlite.org/fileformat2.html#b_tree_pages
func (r *pageReader) table(number int64, depth int) (rows []SchemaRow, err error) {
	const leaf, interior, deepest = 13, 5, 20
	b, err := r.page(number)
	if err != nil || depth > deepest {
		return nil, errSchema
	}
	start := 0
	if number == 1 {
		start = HeaderSize
	}
	kind, cells := b[start], int(binary.BigEndian.Uint16(b[start+3:]))
	first := start + map[byte]int{leaf: 8, interior: 12}[kind]
	if kind != leaf && kind != interior || first+2*cells > len(b) {
		return nil, errSchema
	}
	for i := range cells {
		cell := b[min(int(binary.BigEndian.Uint16(b[first+2*i:])), len(b)):]
		if kind == leaf {
			row, err := r.row(cell)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
			continue
		}
		if rows, err = r.child(rows, cell, depth); err != nil {
			return nil, err
		}
	}
	if kind == interior {
		return r.child(rows, b[start+8:], depth)
	}
	return rows, nil
}

// child appends the rows of the subtree whose root page number is at the start of b.
func (r *pageReader) child(rows []SchemaRow, b []byte, depth int) ([]SchemaRow, error) {
	if len(b) < 4 {
		return nil, errSchema
	}
	more, err := r.table(int64(binary.BigEndian.Uint32(b)), depth+1)
	return append(rows, more...), err
}

// row reads one leaf cell.
func (r *pageReader) row(cell []byte) (SchemaRow, error) {
	size, n := varint(cell)
	_, m := varint(cell[n:])
	if n == 0 || m == 0 || size < 0 || size > maxSchemaBytes {
		return SchemaRow{}, errSchema
	}
	if r.bytes += int(size); r.bytes > maxSchemaBytes {
		return SchemaRow{}, errSchema
	}
	payload, err := r.payload(cell[n+m:], int(size))
	if err != nil {
		return SchemaRow{}, err
	}
	return r.record(payload)
}

// payload returns the payload of a cell, overflow pages included.
func (r *pageReader) payload(cell []byte, size int) ([]byte, error) {
	usable := r.header.PageSize - r.header.Reserved
	local, spills := size, size > usable-35
	if spills {
		least := (usable-12)*32/255 - 23
		if local = least + (size-least)%(usable-4); local > usable-35 {
			local = least
		}
	}
	if len(cell) < local || spills && len(cell) < local+4 {
		return nil, errSchema
	}
	payload := append(make([]byte, 0, size), cell[:local]...)
	for next := cell[local:]; len(payload) < size; {
		b, err := r.page(int64(binary.BigEndian.Uint32(next)))
		if err != nil {
			return nil, errSchema
		}
		payload = append(payload, b[4:4+min(size-len(payload), usable-4)]...)
		next = b
	}
	return payload, nil
}

// record decodes the five columns: https://www.sqlite.org/fileformat2.html#record_format
func (r *pageReader) record(b []byte) (row SchemaRow, err error) {
	size, n := varint(b)
	if n == 0 || size < int64(n) || size > int64(len(b)) {
		return row, errSchema
	}
	types, data := b[n:size], b[size:]
	for column := range 5 {
		kind, n := varint(types)
		length := columnSize(kind)
		if n == 0 || length < 0 || length > int64(len(data)) {
			return row, errSchema
		}
		value := data[:length]
		types, data = types[n:], data[length:]
		if column == 3 {
			row.Root = columnInt(kind, value)
			continue
		}
		if kind >= 13 && kind%2 == 1 {
			*[]*string{&row.Kind, &row.Name, &row.Table, nil, &row.SQL}[column] = r.text(value)
		}
	}
	return row, nil
}

func columnSize(kind int64) int64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return []int64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, -1, -1}[max(0, kind)]
}

func columnInt(kind int64, b []byte) (value int64) {
	for _, c := range b {
		value = value<<8 | int64(c)
	}
	if kind == 9 {
		return 1
	}
	return value
}

func (r *pageReader) text(b []byte) string {
	var order binary.ByteOrder
	switch r.header.Encoding {
	case 2:
		order = binary.LittleEndian
	case 3:
		order = binary.BigEndian
	default:
		return string(b)
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// varint decodes SQLite's variable-length integer. n is 0 if b is truncated.
func varint(b []byte) (value int64, n int) {
	for i, c := range b[:min(len(b), 9)] {
		if i == 8 {
			return value<<8 | int64(c), 9
		}
		value = value<<7 | int64(c&0x7f)
		if c < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}
