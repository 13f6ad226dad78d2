package condition

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// The bounds of the cost of one evaluation, in CEL's units: about one a step and one for ten
// characters that are read, which is 50 to 200 ns each.
const (
	// maxEstimate refuses an expression at load, by the estimate for ordinary facts.
	maxEstimate = 500_000
	// minLimit is the least that an expression may cost when it runs, if its cost depends on facts.
	minLimit = 10_000
)

// Problem is something wrong with an expression. Line and Column count from 1 within its text.
type Problem struct {
	Line, Column    int
	Message, Remedy string
}

// Purpose is what an expression is for.
type Purpose struct {
	kind     purposeKind
	argument *pim.Type
}

type purposeKind int

const (
	forCondition purposeKind = iota
	forArgument
	forReason
)

// Condition is an expression that is true or false.
func Condition() Purpose { return Purpose{kind: forCondition} }

// Argument is an expression for an argument of the type.
func Argument(t pim.Type) Purpose { return Purpose{kind: forArgument, argument: &t} }

// Reason is an expression whose value the requester reads.
func Reason() Purpose { return Purpose{kind: forReason} }

// Use is a fact that an expression names: the ask's place in the scope, and the fact.
type Use struct {
	Ask  int
	Fact string
}

// Expression is one compiled expression. It is safe for concurrent use.
type Expression struct {
	text    string
	program cel.Program
	uses    []Use
	asks    []int
	paths   map[int64]string
	secret  bool // it names a secret
	cost    uint64
}

// Text is the expression as it was written.
func (e *Expression) Text() string { return e.text }

// Uses are the facts that the expression names, each once, in the order in which it does.
func (e *Expression) Uses() []Use { return e.uses }

// Asks are the places of the asks whose facts it names, each once.
func (e *Expression) Asks() []int { return e.asks }

// MaxCost is what one evaluation costs at most.
func (e *Expression) MaxCost() uint64 { return e.cost }

// Compile checks an expression and makes it ready to run. The expression is nil if there are problems.
func (s *Scope) Compile(text string, purpose Purpose) (*Expression, []Problem) {
	key := compiledKey{text, purpose.String()}
	if e, ok := s.compiled[key]; ok {
		return e, nil
	}
	e, problems := s.compile(text, purpose)
	if e != nil {
		s.compiled[key] = e
	}
	return e, problems
}

func (s *Scope) compile(text string, purpose Purpose) (*Expression, []Problem) {
	if n := utf8.RuneCountInString(text); n > maxLength {
		return nil, []Problem{{1, 1, fmt.Sprintf("the expression has %d characters, and %d are allowed", n, maxLength), "split the rule in several"}}
	}
	if strings.TrimSpace(text) == "" {
		return nil, []Problem{{1, 1, "the expression is empty", "write a CEL expression"}}
	}
	parsed, issues := s.env.Parse(text)
	if issues.Err() != nil {
		return nil, problems(issues)
	}
	l := newLinter(s, parsed.NativeRep(), purpose)
	shape := l.walk(parsed.NativeRep().Expr())
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	checked, issues := s.env.Check(parsed)
	if issues.Err() != nil {
		return nil, problems(issues)
	}
	passes := s.untyped && checked.OutputType().Kind() == types.DynKind
	if p, ok := purpose.check(checked.OutputType(), shape, parsed.NativeRep().Expr()); !ok && !passes {
		return nil, []Problem{p}
	}
	e := &Expression{text: text, uses: l.uses, asks: asksOf(l.uses), paths: l.paths, secret: l.secret}
	if p, ok := e.plan(s.env, checked); !ok {
		return nil, []Problem{p}
	}
	return e, nil
}

// plan bounds the cost and builds the program.
func (e *Expression) plan(env *cel.Env, checked *cel.Ast) (Problem, bool) {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(errorsFirst)}
	ordinary, err := env.EstimateCost(checked, sizes{known: true})
	if err != nil {
		return Problem{1, 1, "the cost of the expression cannot be estimated: " + err.Error(), "write it in simpler terms"}, false
	}
	if ordinary.Max > maxEstimate {
		return Problem{
			1, 1, fmt.Sprintf("the expression may cost %d steps, and %d are allowed", ordinary.Max, maxEstimate),
			"do not nest all(), exists(), map() or filter() over lists",
		}, false
	}
	// What cannot be expensive whatever the size of the facts needs no meter.
	unbounded, err := env.EstimateCost(checked, sizes{})
	e.cost = unbounded.Max
	if err != nil || unbounded.Max > minLimit {
		e.cost = max(minLimit, ordinary.Max)
		options = append(options, cel.CostLimit(e.cost))
	}
	e.program, err = env.Program(checked, options...)
	if err != nil {
		return Problem{1, 1, "the expression cannot be evaluated: " + err.Error(), "mend the constant it speaks of"}, false
	}
	return Problem{}, true
}

func asksOf(uses []Use) []int {
	var asks []int
	for _, u := range uses {
		if !slices.Contains(asks, u.Ask) {
			asks = append(asks, u.Ask)
		}
	}
	return asks
}

// sizes estimates the sizes of facts: ordinary ones, or none at all.
type sizes struct{ known bool }

// EstimateSize bounds what an ordinary fact holds: 256 characters, 64 elements.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if !s.known || n.Type() == nil {
		return nil
	}
	var most uint64
	switch n.Type().Kind() {
	case types.StringKind, types.BytesKind:
		most = 256
	case types.ListKind, types.MapKind:
		most = 64
	default:
		return nil
	}
	return &cost.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost leaves functions to their own estimates.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// overload matches CEL's message for operands that do not fit.
var overload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)

func problems(issues *cel.Issues) []Problem {
	var out []Problem
	for _, e := range issues.Errors() {
		out = append(out, problem(e))
	}
	return out
}

func problem(e *common.Error) Problem {
	p := Problem{Line: max(1, e.Location.Line()), Column: max(1, e.Location.Column()+1), Message: e.Message}
	if text, syntax := strings.CutPrefix(e.Message, "Syntax error: "); syntax {
		p.Message, p.Remedy = "the expression does not parse: "+text, "see the language definition of CEL"
	}
	if m := overload.FindStringSubmatch(e.Message); m != nil {
		operator := strings.Trim(m[1], "_@")
		p.Message, p.Remedy = fmt.Sprintf("%s cannot be applied to %s", operator, m[2]), "use operands of types that fit"
	}
	if p.Remedy == "" {
		p.Remedy = remedy(e.Message)
	}
	return p
}

// remedy says what to do about what CEL's checker and validators say. The first part that is in the
// message counts.
func remedy(message string) string {
	for _, r := range []struct{ part, remedy string }{
		{"has() takes", "name a field in it"},
		{"invalid duration", `write a span of time such as duration("90m")`},
		{"invalid timestamp", `write a time such as timestamp("2026-01-31T08:00:00Z")`},
		{"invalid matches", "mend the pattern; it is RE2"},
		{"exceeds nesting limit", "do not put all(), exists(), map() and filter() into each other"},
		{"regex", "write a shorter pattern"},
		{"expected type", "a list or map holds values of one type"},
		{"undeclared reference", "name a function of CEL"},
		{"does not support field", "select fields of asks and of activation only"},
		{"cannot be range", "use it on a list or map"},
	} {
		if strings.Contains(message, r.part) {
			return r.remedy
		}
	}
	return "see the language definition of CEL"
}
