package strictyaml

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a document, with where it is and what to do.
type Problem struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 if the problem has no place.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path names the setting, such as "policies[2].rules[0].require".
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Remedy says what to do; empty where the message already does.
	Remedy string `json:"remedy,omitempty"`
}

// String is one line in the form compilers use: "file:line:column: path: message (remedy)".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString(" (" + p.Remedy + ")")
	}
	return b.String()
}

// Problems are everything that is wrong, found in one pass. As an error it prints one line a problem.
type Problems []Problem //nolint:errname // what they are; being an error is their second use

// Error prints one line a problem, in the order of the documents.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Sort puts the problems in the order of the documents.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if c := a.Line - b.Line; c != 0 {
			return c
		}
		return a.Column - b.Column
	})
}

// Err is nil if there are no problems.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
