package reason

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/gateway/internal/policy/condition"
)

// Template is a reason with placeholders: "{ticket.number} is not open." It is safe for concurrent use.
type Template struct{ parts []part }

// part is text, or an expression.
type part struct {
	text string
	expr *condition.Expression
}

// Parse reads a reason as a policy has it. Between braces stands a CEL expression; two braces are one.
// The positions of problems are within the text.
func Parse(text string, scope *condition.Scope) (*Template, []condition.Problem) {
	p := parser{rest: text, line: 1, column: 1, scope: scope}
	for p.rest != "" && p.step() {
	}
	p.flush()
	if p.static > MaxLength {
		p.problems = append(p.problems, condition.Problem{
			Line: 1, Column: 1,
			Message: fmt.Sprintf("the reason has %d characters, and %d are allowed", p.static, MaxLength), Remedy: "shorten it",
		})
	}
	if strings.TrimSpace(text) == "" {
		p.problems = append(p.problems, condition.Problem{Line: 1, Column: 1, Message: "the reason is empty", Remedy: "write a sentence, or leave it out"})
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return &Template{parts: p.parts}, nil
}

// Asks are the places of the asks whose facts the placeholders name.
func (t *Template) Asks() []int {
	var asks []int
	for _, p := range t.parts {
		if p.expr == nil {
			continue
		}
		for _, ask := range p.expr.Asks() {
			if !slices.Contains(asks, ask) {
				asks = append(asks, ask)
			}
		}
	}
	return asks
}

// Render fills the placeholders in.
func (t *Template) Render(v *condition.Vars) string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
		if p.expr != nil {
			b.WriteString(p.expr.Evaluate(v).Text())
		}
	}
	return Plain(b.String())
}

type parser struct {
	rest         string
	line, column int // of rest
	scope        *condition.Scope
	text         strings.Builder
	static       int // characters outside of placeholders
	parts        []part
	problems     []condition.Problem
}

// step reads one character, one pair of braces or one placeholder; false if there is no going on.
func (p *parser) step() bool {
	switch {
	case strings.HasPrefix(p.rest, "{{"), strings.HasPrefix(p.rest, "}}"):
		p.write(p.rest[:1])
		p.advance(2)
	case p.rest[0] == '{':
		return p.placeholder()
	default:
		_, size := utf8.DecodeRuneInString(p.rest)
		p.write(p.rest[:size])
		p.advance(size)
	}
	return true
}

func (p *parser) write(text string) {
	p.text.WriteString(text)
	p.static++
}

func (p *parser) advance(bytes int) {
	for _, r := range p.rest[:bytes] {
		p.column++
		if r == '\n' {
			p.line, p.column = p.line+1, 1
		}
	}
	p.rest = p.rest[bytes:]
}

func (p *parser) flush() {
	if p.text.Len() > 0 {
		p.parts = append(p.parts, part{text: p.text.String()})
		p.text.Reset()
	}
}

func (p *parser) placeholder() bool {
	end := closing(p.rest)
	if end < 0 {
		p.problems = append(p.problems, condition.Problem{
			Line: p.line, Column: p.column,
			Message: "the placeholder does not end", Remedy: "close it with }, or write {{ for a brace",
		})
		return false
	}
	p.flush()
	p.advance(1)
	expr, problems := p.scope.Compile(p.rest[:end-1], condition.Reason())
	for _, problem := range problems {
		if problem.Line == 1 {
			problem.Column += p.column - 1
		}
		problem.Line += p.line - 1
		p.problems = append(p.problems, problem)
	}
	p.parts = append(p.parts, part{expr: expr})
	p.advance(end)
	return true
}

// closing is the index of the brace that ends the placeholder at the beginning of the text; -1 if none
// does. Braces within CEL's strings do not count, and braces of maps come in pairs.
func closing(text string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
