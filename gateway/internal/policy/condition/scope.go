package condition

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// The bounds of one expression (OWASP ASVS 5.0, 15.2.2; the runtime bound is in compile.go).
const (
	// maxLength is in characters.
	maxLength = 4096
	// maxNesting is the depth of the parser's recursion.
	maxNesting = 64
	// maxComprehensions is how deep all(), exists(), map() and filter() nest.
	maxComprehensions = 2
	// maxRegexProgram is the size of one compiled pattern, in RE2 instructions.
	maxRegexProgram = 1000
)

// Ask is what one ask of a policy brings into the scope of its expressions. Without a method it stands
// for one that is wrong: whatever is selected from it passes.
type Ask struct {
	Name       string
	Connector  string
	Capability pim.Capability
}

// Library builds the scopes of all policies. It is not safe for concurrent use; what it compiled is.
type Library struct {
	base     *cel.Env
	provider *provider
	empty    traits.Mapper
	shape    *pim.Type
	when     *Scope
	scopes   map[string]*Scope
}

// Scope is what an expression may name.
type Scope struct {
	library *Library
	env     *cel.Env
	asks    []Ask
	names   map[string]*pim.Type
	untyped bool
	// compiled keeps what compiled without a problem: generated policies repeat themselves.
	compiled map[compiledKey]*Expression
}

type compiledKey struct{ text, purpose string }

// NewLibrary returns a library without any scope.
func NewLibrary() (*Library, error) {
	standard, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("build the standard types: %w", err)
	}
	empty, ok := standard.NativeToValue(map[string]any{}).(traits.Mapper)
	if !ok {
		return nil, fmt.Errorf("build the standard types: an empty map is a %T", standard.NativeToValue(map[string]any{}))
	}
	l := &Library{provider: newProvider(standard), empty: empty, shape: activationShape(), scopes: map[string]*Scope{}}
	activation := l.provider.add("/"+activationName, l.shape)
	l.base, err = cel.NewEnv(
		cel.CustomTypeAdapter(standard), cel.CustomTypeProvider(l.provider),
		cel.Macros(cel.GlobalMacro(operators.Has, 1, expandHas)),
		ext.Strings(),
		cel.ParserRecursionLimit(maxNesting), cel.ParserExpressionSizeLimit(maxLength),
		cel.RegexProgramSizeLimit(maxRegexProgram),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(maxComprehensions),
		),
		cel.Variable(activationName, activation),
	)
	if err != nil {
		return nil, fmt.Errorf("build the environment of expressions: %w", err)
	}
	l.when = &Scope{library: l, env: l.base, names: map[string]*pim.Type{activationName: l.shape}, compiled: map[compiledKey]*Expression{}}
	return l, nil
}

// When is the scope of a policy's `when`: the activation and nothing else.
func (l *Library) When() *Scope {
	return l.when
}

// Scope is the scope of a policy's rules, arguments and reasons: the activation, now and its asks.
// Policies with the same asks share one.
func (l *Library) Scope(asks []Ask) (*Scope, error) {
	key := signature(asks)
	if s, ok := l.scopes[key]; ok {
		return s, nil
	}
	s := &Scope{library: l, asks: asks, compiled: map[compiledKey]*Expression{}, names: map[string]*pim.Type{
		activationName: l.shape, nowName: {Kind: pim.Timestamp},
	}}
	options := []cel.EnvOption{cel.Variable(nowName, types.TimestampType)}
	for _, ask := range asks {
		if Reserved(ask.Name) {
			continue // the name keeps its meaning
		}
		if ask.Capability.Method == "" {
			s.names[ask.Name], s.untyped = nil, true
			options = append(options, cel.Variable(ask.Name, types.DynType))
			continue
		}
		shape := factsShape(ask.Capability)
		s.names[ask.Name] = shape
		message := l.provider.add("/"+ask.Connector+"/"+ask.Capability.Method, shape)
		options = append(options, cel.Variable(ask.Name, message))
	}
	env, err := l.base.Extend(options...)
	if err != nil {
		return nil, fmt.Errorf("declare the asks: %w", err)
	}
	s.env = env
	l.scopes[key] = s
	return s, nil
}

// signature tells scopes apart. The names of asks and connectors hold no control characters.
func signature(asks []Ask) string {
	var b strings.Builder
	for _, ask := range asks {
		b.WriteString(ask.Name + "\x00" + ask.Connector + "\x00" + ask.Capability.Method + "\x01")
	}
	return b.String()
}

// expandHas makes has(a.b.c) mean has(a.b) && has(a.b.c), so that it is false and no error where b is
// none. CEL itself would find the selection of b an error.
func expandHas(h cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
	e := args[0]
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() {
		return nil, h.NewError(e.ID(), "has() takes a fact, such as has(ticket.window_end)")
	}
	return guarded(h, e), nil
}

func guarded(h cel.MacroExprFactory, e ast.Expr) ast.Expr {
	selected := e.AsSelect()
	operand := selected.Operand()
	test := h.NewPresenceTest(operand, selected.FieldName())
	if operand.Kind() != ast.SelectKind || operand.AsSelect().IsTestOnly() {
		return test
	}
	return h.NewCall(operators.LogicalAnd, guarded(h, h.Copy(operand)), test)
}
