package strictyaml

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxProblems bounds a report; nobody reads more before mending the first of them.
const maxProblems = 100

// Document is a file that was decoded. It remembers where everything stands.
type Document struct {
	file     string
	lines    []string
	root     *node
	problems Problems
}

// File is the name the document was decoded under.
func (d *Document) File() string { return d.file }

// Position says where the value at a path stands, such as "policies[2].rules[0].require": a scalar
// where it begins, a list or a mapping where its key is. For a path that does not exist it is the
// nearest one around it that does. Lines and columns count from 1, columns in characters.
func (d *Document) Position(path string) (line, column int) {
	_, line, column = d.find(path)
	return line, column
}

// Problem is a problem at the place of a path.
func (d *Document) Problem(path, message, remedy string) Problem {
	line, column := d.Position(path)
	return Problem{File: d.file, Line: line, Column: column, Path: path, Message: message, Remedy: remedy}
}

// Has reports whether the document itself names the path, so that a default can be told from a choice.
func (d *Document) Has(path string) bool {
	found, _, _ := d.find(path)
	return found != nil
}

// find returns nil as the node if the path does not exist, with the place of what is nearest.
func (d *Document) find(path string) (found *node, line, column int) {
	at := d.root
	if at == nil {
		return nil, 1, 1
	}
	line, column = at.line, at.column
	for _, step := range splitPath(path) {
		next, nextLine, nextColumn := at.step(step)
		if next == nil {
			return nil, line, column
		}
		at, line, column = next, nextLine, nextColumn
	}
	return at, line, column
}

func (n *node) step(s step) (next *node, line, column int) {
	if s.index >= 0 {
		if s.index >= len(n.items) {
			return nil, 0, 0
		}
		item := n.items[s.index]
		return item, item.line, item.column
	}
	m, ok := n.member(s.name)
	if !ok {
		return nil, 0, 0
	}
	line, column = m.place()
	return m.value, line, column
}

// place is where a problem with a member's value is shown.
func (m member) place() (line, column int) {
	if m.value.scalar() && m.value.kind != null {
		return m.value.line, m.value.column
	}
	return m.key.line, m.key.column
}

// report adds a problem with the text at a place, before it is known which setting that is.
func (d *Document) report(line, column int, message, remedy string) {
	d.problem(cursor{line: line, column: column}, message, remedy)
}

// problem adds a problem with a setting.
func (d *Document) problem(c cursor, message, remedy string) {
	d.problems = append(d.problems, Problem{File: d.file, Line: c.line, Column: c.column, Path: c.path, Message: message, Remedy: remedy})
}

// reported are the problems in order, cut to what somebody will read.
func (d *Document) reported() Problems {
	ps := d.problems
	ps.Sort()
	if len(ps) > maxProblems {
		more := fmt.Sprintf("has %d more problems", len(ps)-maxProblems)
		ps = append(slices.Clip(ps[:maxProblems]), Problem{File: d.file, Message: more, Remedy: "mend these first"})
	}
	return ps
}

// step is one part of a path: a name, or an index from 0 if that is not negative.
type step struct {
	name  string
	index int
}

// pathStep matches a step: a name, an index, or a quoted name in brackets.
var pathStep = regexp.MustCompile(`\[(\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]|([^.\[]+)`)

func splitPath(path string) []step {
	var steps []step
	for _, m := range pathStep.FindAllStringSubmatch(path, -1) {
		switch {
		case m[1] != "":
			index, _ := strconv.Atoi(m[1]) // nine digits always fit
			steps = append(steps, step{index: index})
		case m[2] != "":
			name, err := strconv.Unquote(m[2])
			if err != nil {
				name = m[2]
			}
			steps = append(steps, step{name: name, index: -1})
		default:
			steps = append(steps, step{name: m[3], index: -1})
		}
	}
	return steps
}

// Join is the path of a member of what is at path. A name that would not survive in a path is quoted.
func Join(path, name string) string {
	if name == "" || strings.ContainsAny(name, `.["]`) {
		return path + "[" + strconv.Quote(name) + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// Index is the path of an item, counted from 0, of the list at path.
func Index(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}
