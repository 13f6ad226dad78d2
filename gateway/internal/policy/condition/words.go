package condition

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/ast"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// compare reports a fact that is compared with a word it can never be.
func (l *linter) compare(args []ast.Expr, shapes []*pim.Type) {
	if len(args) != 2 {
		return
	}
	l.impossible(shapes[0], args[1])
	l.impossible(shapes[1], args[0])
	l.disjoint(args[1].ID(), shapes[0], shapes[1])
}

// member is compare for the operator in.
func (l *linter) member(args []ast.Expr, shapes []*pim.Type) {
	if len(args) != 2 {
		return
	}
	for _, element := range elements(args[1]) {
		l.impossible(shapes[0], element)
	}
	if shapes[1] != nil && shapes[1].Elem != nil && shapes[1].Kind == pim.List {
		l.impossible(shapes[1].Elem, args[0])
		l.disjoint(args[1].ID(), shapes[0], shapes[1].Elem)
	}
}

// elements are what a list literal holds, or the keys of a map literal.
func elements(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var keys []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			keys = append(keys, entry.AsMapEntry().Key())
		}
		return keys
	case ast.CallKind, ast.ComprehensionKind, ast.IdentKind, ast.LiteralKind, ast.SelectKind, ast.StructKind, ast.UnspecifiedExprKind:
	}
	return nil
}

func (l *linter) impossible(shape *pim.Type, e ast.Expr) {
	if shape == nil || shape.Kind != pim.Enum {
		return
	}
	for _, c := range constants(e) {
		if !slices.Contains(shape.Words, c.text) {
			l.report(c.id, fmt.Sprintf("%q is a word that cannot occur here", c.text), nearestOf(c.text, shape.Words))
		}
	}
}

func (l *linter) disjoint(id int64, a, b *pim.Type) {
	if a == nil || b == nil || a.Kind != pim.Enum || b.Kind != pim.Enum {
		return
	}
	common := slices.ContainsFunc(a.Words, func(word string) bool { return slices.Contains(b.Words, word) })
	if !common {
		l.report(id, "the two have no word in common", "compare facts of one kind")
	}
}
