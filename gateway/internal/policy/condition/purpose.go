package condition

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// String tells purposes apart.
func (p Purpose) String() string {
	switch p.kind {
	case forCondition:
		return "condition"
	case forReason:
		return "reason"
	case forArgument:
	}
	return "argument that is " + describeShape(p.argument)
}

// check says whether an expression's result is what it is for.
func (p Purpose) check(got *types.Type, shape *pim.Type, e ast.Expr) (Problem, bool) {
	at := func(message, remedy string) (Problem, bool) { return Problem{1, 1, message, remedy}, false }
	switch p.kind {
	case forCondition:
		if !got.IsExactType(types.BoolType) {
			return at(fmt.Sprintf("the expression is %s, and a condition must be true or false", describe(got)), `compare it, such as worker.state == "active"`)
		}
	case forReason:
		if printed(got) == nil {
			return at(fmt.Sprintf("a reason cannot show %s", describe(got)), "name a text, a number, a time or a duration")
		}
	case forArgument:
		return p.checkArgument(got, shape, e)
	}
	return Problem{}, true
}

func (p Purpose) checkArgument(got *types.Type, shape *pim.Type, e ast.Expr) (Problem, bool) {
	if !fits(got, p.argument) {
		return Problem{1, 1, fmt.Sprintf("the argument is %s, and the capability wants %s", describe(got), describeShape(p.argument)), quoteRemedy(p.argument)}, false
	}
	if p.argument.Kind != pim.Enum {
		return Problem{}, true
	}
	possible := words(e, shape)
	if len(possible) == 0 {
		return Problem{1, 1, "the argument is any text, and the capability wants " + describeShape(p.argument), "write one of the words in quotes"}, false
	}
	for _, word := range possible {
		if !slices.Contains(p.argument.Words, word) {
			return Problem{1, 1, fmt.Sprintf("%q is none of the words of the argument", word), nearestOf(word, p.argument.Words)}, false
		}
	}
	return Problem{}, true
}

// words are the values an expression of words can have; none if it can be any text.
func words(e ast.Expr, shape *pim.Type) []string {
	if shape != nil && shape.Kind == pim.Enum {
		return shape.Words
	}
	var out []string
	for _, c := range constants(e) {
		out = append(out, c.text)
	}
	return out
}

// constant is a text in an expression, with the number of the node that is it.
type constant struct {
	id   int64
	text string
}

// constants are the texts that an expression can be, if it is nothing else.
func constants(e ast.Expr) []constant {
	switch e.Kind() {
	case ast.LiteralKind:
		if s, ok := e.AsLiteral().(types.String); ok {
			return []constant{{e.ID(), string(s)}}
		}
	case ast.CallKind:
		if call := e.AsCall(); call.FunctionName() == operators.Conditional {
			return append(constants(call.Args()[1]), constants(call.Args()[2])...)
		}
	case ast.UnspecifiedExprKind, ast.ComprehensionKind, ast.IdentKind, ast.ListKind, ast.MapKind, ast.SelectKind, ast.StructKind:
	}
	return nil
}

func fits(got *types.Type, want *pim.Type) bool {
	switch want.Kind {
	case pim.List:
		return got.Kind() == types.ListKind && fits(got.Parameters()[0], want.Elem)
	case pim.Map:
		return got.Kind() == types.MapKind && got.Parameters()[0].IsExactType(types.StringType) && fits(got.Parameters()[1], want.Elem)
	case pim.Message:
		return false
	case pim.Bool, pim.Int, pim.Uint, pim.Double, pim.String, pim.Bytes, pim.Timestamp, pim.Duration, pim.Enum:
	}
	return got.IsExactType(scalarType(want.Kind))
}

// printed is the type of a result that a reason can show; nil if it cannot.
func printed(t *types.Type) *pim.Type {
	for _, kind := range []pim.Kind{pim.Bool, pim.Int, pim.Uint, pim.Double, pim.String, pim.Timestamp, pim.Duration} {
		if t.IsExactType(scalarType(kind)) {
			return &pim.Type{Kind: kind}
		}
	}
	return nil
}

func describe(t *types.Type) string {
	switch t.Kind() {
	case types.BoolKind:
		return "true or false"
	case types.StringKind:
		return "a text"
	case types.IntKind, types.UintKind, types.DoubleKind:
		return "a number of type " + t.TypeName()
	case types.TimestampKind:
		return "a time"
	case types.DurationKind:
		return "a duration"
	case types.ListKind:
		return "a list"
	case types.MapKind:
		return "a map"
	default:
		return "of type " + t.TypeName()
	}
}

func describeShape(t *pim.Type) string {
	switch t.Kind {
	case pim.Enum:
		return "one of the words " + strings.Join(t.Words, ", ")
	case pim.Message:
		return "a message, which policies cannot give"
	case pim.List:
		return "a list of which each element is " + describeShape(t.Elem)
	case pim.Map:
		return "a map of which each value is " + describeShape(t.Elem)
	case pim.Bool, pim.Int, pim.Uint, pim.Double, pim.String, pim.Bytes, pim.Timestamp, pim.Duration:
	}
	return describe(scalarType(t.Kind))
}

func quoteRemedy(t *pim.Type) string {
	if t.Kind == pim.String {
		return `write a text in quotes of its own, such as "'PAYMENTS'", or name a fact that is one`
	}
	return "name a fact or write a value of that type"
}
