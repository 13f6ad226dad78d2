package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// place is a position in a file; lines and columns count from 1, and 0 is the file as a whole.
type place struct{ line, column int }

// problem is one thing that is wrong with a file. It names fields and never repeats their values.
type problem struct {
	file string
	place
	message string
}

// String has the form that compilers use: "file:line:column: message".
func (p problem) String() string {
	if p.line == 0 {
		return p.file + ": " + p.message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.file, p.line, p.column, p.message)
}

// maxProblems bounds what is collected; a file of another format would fill the log.
const maxProblems = 50

// problems are everything that is wrong with a file, found in one pass.
type problems []problem

// Error has one line a problem.
func (ps problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// report collects the problems of one file.
type report struct {
	file  string
	found problems
}

func (r *report) add(at place, format string, args ...any) {
	p := problem{r.file, at, fmt.Sprintf(format, args...)}
	if len(r.found) < maxProblems && !slices.Contains(r.found, p) {
		r.found = append(r.found, p)
	}
}

// err is nil if nothing was found, and the problems in the order of the file otherwise.
func (r *report) err() error {
	if len(r.found) == 0 {
		return nil
	}
	slices.SortFunc(r.found, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), cmp.Compare(a.message, b.message))
	})
	return r.found
}

// cell is one value as it stands in a file. None says that the operator wrote none: there is no such
// thing. A value that is not there at all has no cell and is unknown.
type cell struct {
	place
	// key is where its name stands.
	key  place
	text string
	none bool
}

// entry is one record of a file: its cells by the name of their field.
type entry struct {
	place
	cells map[string]cell
}

// noneWord is how an operator writes none; in YAML null means the same.
const noneWord = "none"

// entriesOf reads one table from a file, in the format that its name says.
func entriesOf(r *report, table string, data []byte) []entry {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if !utf8.Valid(data) {
		r.add(place{}, "is not UTF-8 text")
		return nil
	}
	if extension(r.file) == ".csv" {
		return csvEntries(r, data)
	}
	return yamlEntries(r, table, data)
}

// isPlain says whether a text can be shown and compared: no control or invisible characters.
func isPlain(s string) bool {
	for _, c := range s {
		if !unicode.IsGraphic(c) {
			return false
		}
	}
	return true
}
