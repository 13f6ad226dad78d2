package strictyaml

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// MaxBytes bounds the size of a document.
const MaxBytes = 1 << 20

// leadingTab finds a tab among what stands before a line's first key or value. YAML forbids tabs in
// indentation (section 6.1), but parsers disagree on where indentation ends.
var leadingTab = regexp.MustCompile(`^[ -]*\t`)

// source checks what can be checked before parsing and returns the text with line feeds only.
func (d *Document) source(data []byte) (string, bool) {
	if len(data) > MaxBytes {
		d.report(0, 0, fmt.Sprintf("is larger than %d bytes", MaxBytes), "split it or shorten it")
		return "", false
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if !utf8.Valid(data) {
		line, column := invalidPlace(data)
		d.report(line, column, "is not UTF-8 text", "save the file as UTF-8")
		return "", false
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	before := len(d.problems)
	for i, line := range strings.Split(text, "\n") {
		d.checkLine(i+1, line)
	}
	return text, len(d.problems) == before
}

func (d *Document) checkLine(number int, line string) {
	if at := leadingTab.FindString(line); at != "" {
		d.report(number, utf8.RuneCountInString(at), "a tab stands in the indentation", "indent with spaces")
	}
	column := 0
	for _, r := range line {
		column++
		if forbidden(r) {
			d.report(number, column, fmt.Sprintf("the invisible character U+%04X is not allowed", r),
				"remove it, or write it as an escape in double quotes")
		}
	}
}

// forbidden reports control characters, which YAML excludes (section 5.1), and the characters that
// change the direction of writing, which make a condition look like another one (CVE-2021-42574).
func forbidden(r rune) bool {
	return r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\uFEFF'
}

func invalidPlace(data []byte) (line, column int) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return line, column
}

// The library's parser recurses for every level of nesting and for every key of a block mapping, and
// has no bounds of its own.
const (
	// maxDepth bounds how deeply collections may nest.
	maxDepth = 64
	// maxColumn bounds where a key or a list entry may begin. A block collection begins to the right of
	// the one around it, so this bounds how deeply they nest before anything is parsed.
	maxColumn = 1000
	// maxMembers bounds the keys of one block mapping.
	maxMembers = 10_000
)

// shape follows the nesting of a document through its tokens.
type shape struct {
	flow   int
	blocks []blockMapping
}

// blockMapping is a mapping that is open, by the column of its keys.
type blockMapping struct{ column, members int }

// checkShape refuses what would cost the parser too much.
func (d *Document) checkShape(tokens token.Tokens) bool {
	var s shape
	for _, t := range tokens {
		if message, remedy := s.add(t); message != "" {
			d.report(t.Position.Line, t.Position.Column, message, remedy)
			return false
		}
	}
	return true
}

// add takes one token in; the message is empty if nothing is wrong.
func (s *shape) add(t *token.Token) (message, remedy string) {
	column := 0
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		s.flow++
	case token.MappingEndType, token.SequenceEndType:
		s.flow--
	case token.SequenceEntryType, token.MappingKeyType:
		column = t.Position.Column
		s.leave(column)
	case token.MappingValueType:
		if s.flow > 0 {
			break // lines may be long; the brackets are counted
		}
		column = t.Position.Column
		if t.Prev != nil && s.member(t.Prev.Position.Column) > maxMembers {
			return "has too many keys", fmt.Sprintf("write at most %d", maxMembers)
		}
	default:
	}
	if s.flow > maxDepth || column > maxColumn {
		return tooDeep()
	}
	return "", ""
}

func tooDeep() (message, remedy string) {
	return "is nested too deeply", fmt.Sprintf("nest at most %d levels", maxDepth)
}

// leave closes the mappings to the right of a column.
func (s *shape) leave(column int) {
	for len(s.blocks) > 0 && s.blocks[len(s.blocks)-1].column > column {
		s.blocks = s.blocks[:len(s.blocks)-1]
	}
}

// member counts a key of the mapping at a column.
func (s *shape) member(column int) int {
	s.leave(column)
	if len(s.blocks) == 0 || s.blocks[len(s.blocks)-1].column < column {
		s.blocks = append(s.blocks, blockMapping{column: column})
	}
	top := &s.blocks[len(s.blocks)-1]
	top.members++
	return top.members
}
