package strictyaml

import (
	"strings"
	"unicode"
)

// TextPosition says where in the file a position inside a scalar's text stands. Lines and columns
// count from 1, in characters. It is exact for plain, quoted and literal scalars; inside white space
// that folding changed it is the beginning of that white space.
func (d *Document) TextPosition(path string, line, column int) (fileLine, fileColumn int) {
	n, fileLine, fileColumn := d.find(path)
	if n == nil || !n.scalar() || n.kind == null {
		return fileLine, fileColumn
	}
	a := d.align(n)
	return a.place(offset(a.text, line, column))
}

// offset is the index of a position in a text.
func offset(runes []rune, line, column int) int {
	at := 0
	for ; line > 1 && at < len(runes); at++ {
		if runes[at] == '\n' {
			line--
		}
	}
	return min(at+max(column, 1)-1, len(runes))
}

// alignment walks a scalar's text and its source side by side.
type alignment struct {
	style        style
	text, source []rune
	line, column int // of source[0]
}

func (d *Document) align(n *node) alignment {
	a := alignment{style: n.style, text: []rune(n.text), line: n.line, column: n.column}
	first := min(max(n.line-1, 0), len(d.lines))
	a.source = []rune(strings.Join(d.lines[first:min(first+1+a.span(), len(d.lines))], "\n"))
	skip := n.column - 1
	switch n.style {
	case single, double:
		skip++
	case block:
		skip = 0
		for skip < len(a.source) && a.source[skip] != '\n' {
			skip++
		}
		skip++
		a.line, a.column = n.line+1, 1
		a.source = a.source[min(skip, len(a.source)):]
		return a
	case plain:
	}
	a.column += skip - (n.column - 1)
	a.source = a.source[min(max(skip, 0), len(a.source)):]
	return a
}

// span is how many source lines beyond its first a text can take: folding makes one character of a
// line break and never removes a line of text, save for empty lines, which stand for one break each.
func (a alignment) span() int { return len(a.text) + 2 }

// place is where text[target] stands in the file.
func (a alignment) place(target int) (line, column int) {
	t, s := 0, 0
	if a.style == block {
		s = a.indent()
	}
	for t < target && s < len(a.source) {
		nextText, nextSource := a.advance(t, s)
		if nextText > target {
			break // inside folded white space
		}
		t, s = nextText, nextSource
	}
	if a.style == double && a.peek(s) == '\\' && a.peek(s+1) == '\n' {
		_, s = a.escape(t, s)
	}
	return a.at(s)
}

// indent is how much of the first line of a block scalar is not its text.
func (a alignment) indent() int {
	lead, first := 0, 0
	for lead < len(a.source) && unicode.IsSpace(a.source[lead]) {
		lead++
	}
	for first < len(a.text) && unicode.IsSpace(a.text[first]) {
		first++
	}
	return max(lead-first, 0)
}

// advance steps over one character of the text and whatever it was written as.
func (a alignment) advance(t, s int) (nextText, nextSource int) {
	switch {
	case a.style == double && a.source[s] == '\\':
		return a.escape(t, s)
	case a.style == single && a.source[s] == '\'' && a.peek(s+1) == '\'':
		return t + 1, s + 2
	case unicode.IsSpace(a.text[t]) && a.breaks(s):
		for t < len(a.text) && unicode.IsSpace(a.text[t]) {
			t++
		}
		for s < len(a.source) && unicode.IsSpace(a.source[s]) {
			s++
		}
		return t, s
	default:
		return t + 1, s + 1
	}
}

// escape steps over an escape sequence of a double-quoted scalar (YAML 1.2.2 section 5.7).
func (a alignment) escape(t, s int) (nextText, nextSource int) {
	switch a.peek(s + 1) {
	case 'x':
		return t + 1, s + 4
	case 'u':
		return t + 1, s + 6
	case 'U':
		return t + 1, s + 10
	case '\n': // joins two lines without a space
		for s += 2; s < len(a.source) && unicode.IsSpace(a.source[s]); {
			s++
		}
		return t, s
	default:
		return t + 1, s + 2
	}
}

// breaks reports whether the white space at s goes over the end of a line.
func (a alignment) breaks(s int) bool {
	for ; s < len(a.source) && unicode.IsSpace(a.source[s]); s++ {
		if a.source[s] == '\n' {
			return true
		}
	}
	return false
}

func (a alignment) peek(s int) rune {
	if s < len(a.source) {
		return a.source[s]
	}
	return 0
}

// at is the place of source[s] in the file.
func (a alignment) at(s int) (line, column int) {
	line, column = a.line, a.column
	for _, r := range a.source[:min(s, len(a.source))] {
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}
