package condition

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// linter follows the shapes of what an expression selects. It finds what CEL's checker cannot, such as
// an impossible word, says what it can better, such as an unknown fact, and notes the facts in use.
type linter struct {
	scope    *Scope
	purpose  Purpose
	source   *ast.SourceInfo
	locals   []local
	problems []Problem
	uses     []Use
	paths    map[int64]string // of selections, for error messages
	secret   bool             // a secret is named
}

// local is a variable of a comprehension.
type local struct {
	name  string
	shape *pim.Type
}

func newLinter(s *Scope, a *ast.AST, purpose Purpose) *linter {
	return &linter{scope: s, purpose: purpose, source: a.SourceInfo(), paths: map[int64]string{}}
}

func (l *linter) report(id int64, message, remedy string) { l.reportAt(id, 0, message, remedy) }

// reportField reports a problem with the field of a selection: CEL says where its dot is.
func (l *linter) reportField(id int64, message, remedy string) { l.reportAt(id, 1, message, remedy) }

func (l *linter) reportAt(id int64, beyond int, message, remedy string) {
	at := l.source.GetStartLocation(id)
	p := Problem{Line: max(1, at.Line()), Column: max(1, at.Column()+1) + beyond, Message: message, Remedy: remedy}
	if !slices.Contains(l.problems, p) { // has() visits its operand twice
		l.problems = append(l.problems, p)
	}
}

// walk returns the shape of an expression's value; nil where it does not matter.
func (l *linter) walk(e ast.Expr) *pim.Type {
	shape := l.operand(e)
	variable := e.Kind() == ast.IdentKind && l.isLocal(e.AsIdent())
	if shape != nil && shape.Kind == pim.Message && !variable {
		l.report(e.ID(), fmt.Sprintf("%s has no value of its own", l.name(e)), "name one of its fields: "+strings.Join(fieldNames(shape), ", "))
		return nil
	}
	return shape
}

// operand is walk for what a field is selected of: there it may be a message.
func (l *linter) operand(e ast.Expr) *pim.Type {
	switch e.Kind() {
	case ast.IdentKind:
		return l.ident(e)
	case ast.SelectKind:
		return l.selection(e)
	case ast.CallKind:
		return l.call(e)
	case ast.ListKind:
		return l.list(e)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			l.walk(entry.AsMapEntry().Key())
			l.walk(entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		return l.comprehension(e)
	case ast.StructKind:
		l.report(e.ID(), "an expression cannot build a message", "compare the fields one by one")
	case ast.LiteralKind, ast.UnspecifiedExprKind:
	}
	return nil
}

func (l *linter) name(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		return l.name(e.AsSelect().Operand()) + "." + e.AsSelect().FieldName()
	case ast.CallKind, ast.ListKind, ast.MapKind, ast.ComprehensionKind, ast.StructKind, ast.LiteralKind, ast.UnspecifiedExprKind:
	}
	return "this"
}

func (l *linter) ident(e ast.Expr) *pim.Type {
	name := strings.TrimPrefix(e.AsIdent(), ".")
	for _, v := range slices.Backward(l.locals) {
		if v.name == name {
			return v.shape
		}
	}
	shape, ok := l.scope.names[name]
	if !ok {
		known := slices.Sorted(maps.Keys(l.scope.names))
		l.report(e.ID(), fmt.Sprintf("nothing is named %s here", name), nearestOf(name, known))
	}
	return shape
}

func (l *linter) isLocal(name string) bool {
	return slices.ContainsFunc(l.locals, func(v local) bool { return v.name == name })
}

func (l *linter) selection(e ast.Expr) *pim.Type {
	s := e.AsSelect()
	of := l.operand(s.Operand())
	l.paths[e.ID()] = l.name(e)
	if of == nil {
		return nil
	}
	if of.Kind == pim.Map {
		return l.tested(s, of.Elem)
	}
	if of.Kind != pim.Message {
		return nil // the checker says that it has no fields
	}
	f, ok := fieldOf(of, s.FieldName())
	if !ok {
		l.reportField(e.ID(), fmt.Sprintf("%s has no %s", l.name(s.Operand()), s.FieldName()), nearestOf(s.FieldName(), fieldNames(of)))
		return nil
	}
	if l.purpose.kind == forReason && !shown(*f) {
		l.reportField(e.ID(), fmt.Sprintf("%s is %s, and a reason is read by the requester", l.name(e), sensitivity(*f)), "leave it out of the reason")
	}
	l.keepSecret(e, *f)
	l.use(s)
	return l.tested(s, &f.Type)
}

// keepSecret notes secrets. As an argument one would be sent to another connector and be journaled.
func (l *linter) keepSecret(e ast.Expr, f pim.Field) {
	if f.Type.Kind == pim.Message && f.Sensitivity != pim.Secret || !HoldsSecret(f) {
		return
	}
	l.secret = true
	if l.purpose.kind == forArgument {
		l.reportField(e.ID(), l.name(e)+" is secret, and arguments are sent to connectors and kept in the journal", "use it in rules only")
	}
}

// tested is the shape of a selection: that of the field, unless it only asks whether there is one.
func (l *linter) tested(s ast.SelectExpr, shape *pim.Type) *pim.Type {
	if s.IsTestOnly() {
		return nil
	}
	return shape
}

func sensitivity(f pim.Field) pim.Sensitivity {
	if !f.Sensitivity.ShownToRequester() && f.Sensitivity != "" {
		return f.Sensitivity
	}
	return pim.ThirdParty
}

func (l *linter) use(s ast.SelectExpr) {
	if s.Operand().Kind() != ast.IdentKind {
		return
	}
	name := strings.TrimPrefix(s.Operand().AsIdent(), ".")
	ask := slices.IndexFunc(l.scope.asks, func(a Ask) bool { return a.Name == name })
	if ask < 0 || l.isLocal(name) || Reserved(name) {
		return
	}
	if u := (Use{Ask: ask, Fact: s.FieldName()}); !slices.Contains(l.uses, u) {
		l.uses = append(l.uses, u)
	}
}

func (l *linter) call(e ast.Expr) *pim.Type {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	shapes := make([]*pim.Type, len(args))
	for i, arg := range args {
		shapes[i] = l.argument(c.FunctionName(), i, arg)
	}
	switch c.FunctionName() {
	case operators.Equals, operators.NotEquals:
		l.compare(args, shapes)
	case operators.In:
		l.member(args, shapes)
	case operators.Index:
		if shapes[0] != nil && len(shapes) == 2 {
			return shapes[0].Elem
		}
	case operators.Conditional:
		return branch(shapes)
	case overloads.Matches:
		l.pattern(args)
	case "dyn", overloads.TypeConvertType:
		l.report(e.ID(), c.FunctionName()+"() is not allowed here", "every fact has a type already")
	}
	return nil
}

// argument lets a list or map of messages be indexed, and nothing else take a message.
func (l *linter) argument(function string, i int, arg ast.Expr) *pim.Type {
	if function == operators.Index && i == 0 {
		return l.operand(arg)
	}
	return l.walk(arg)
}

func branch(shapes []*pim.Type) *pim.Type {
	if len(shapes) != 3 || shapes[1] == nil || shapes[2] == nil || shapes[1].Kind != shapes[2].Kind {
		return nil
	}
	if shapes[1].Kind != pim.Enum {
		return shapes[1]
	}
	return &pim.Type{Kind: pim.Enum, Words: append(slices.Clone(shapes[1].Words), shapes[2].Words...)}
}

func (l *linter) pattern(args []ast.Expr) {
	if len(args) == 2 && args[1].Kind() != ast.LiteralKind {
		l.report(args[1].ID(), "the pattern of matches() is not a constant", "write the pattern itself, in quotes")
	}
}

func (l *linter) list(e ast.Expr) *pim.Type {
	var elem *pim.Type
	for i, element := range e.AsList().Elements() {
		shape := l.walk(element)
		if i == 0 {
			elem = shape
		}
	}
	if elem == nil || elem.Kind == pim.Enum && len(e.AsList().Elements()) > 1 {
		return nil
	}
	return &pim.Type{Kind: pim.List, Elem: elem}
}

func (l *linter) comprehension(e ast.Expr) *pim.Type {
	c := e.AsComprehension()
	over := l.operand(c.IterRange())
	var elem *pim.Type
	if over != nil && over.Kind == pim.List {
		elem = over.Elem
	}
	for _, name := range []string{c.IterVar(), c.IterVar2()} {
		if _, taken := l.scope.names[name]; taken {
			l.report(e.ID(), fmt.Sprintf("the variable %s hides what the name means already", name), "give it another name")
		}
	}
	outer := l.locals
	l.locals = append(slices.Clone(outer), local{c.IterVar(), elem}, local{c.AccuVar(), nil})
	if c.HasIterVar2() {
		l.locals = append(l.locals, local{c.IterVar2(), nil})
	}
	for _, part := range []ast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
		l.operand(part)
	}
	l.locals = outer
	return nil
}

// nearestOf is the remedy for a word that is not known.
func nearestOf(word string, known []string) string {
	if near, ok := strictyaml.Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "there are none"
	}
	return "write one of " + strings.Join(known, ", ")
}
