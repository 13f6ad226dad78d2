package policy

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/condition"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// ask is one ask of a policy, ready to be put.
type ask struct {
	name       string
	connector  string
	capability pim.Capability
	args       []argument
	maxAge     time.Duration
	timeout    time.Duration
	needs      []int // asks that its arguments name
}

// argument is one argument of an ask.
type argument struct {
	name string
	expr *condition.Expression
}

// askName is what CEL takes for a name.
var askName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// celWords are the words that cannot be names in CEL (language definition, section Syntax).
func celWords() []string {
	return []string{
		"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
		"namespace", "null", "package", "return", "true", "var", "void", "while",
	}
}

// scope checks what the asks ask for and brings their facts into scope. An ask that is wrong stays in
// scope without a type, so that its use is no further problem.
func (c *compiler) scope() {
	var declared []condition.Ask
	for _, name := range slices.Sorted(maps.Keys(c.text.Ask)) {
		text := c.text.Ask[name]
		path := strictyaml.Join(c.path+".ask", name)
		a := ask{name: name, connector: text.Connector, maxAge: text.MaxAge, timeout: text.Timeout}
		c.checkAskName(path, name)
		c.checkTimes(path, text)
		a.capability = c.capability(path, text)
		c.p.asks = append(c.p.asks, a)
		declared = append(declared, condition.Ask{Name: name, Connector: a.connector, Capability: a.capability})
	}
	scope, err := c.set.library.Scope(declared)
	if err != nil {
		c.report(c.path+".ask", err.Error(), "mend the names of the asks")
		return
	}
	c.p.scope = scope
}

func (c *compiler) checkAskName(path, name string) {
	switch {
	case condition.Reserved(name):
		c.report(path, fmt.Sprintf("%s means something already", name), "give the ask another name")
	case !askName.MatchString(name) || slices.Contains(celWords(), name):
		c.report(path, "expressions cannot use this name", "use lower-case letters, digits and underscores, beginning with a letter, and no word of CEL")
	}
}

func (c *compiler) checkTimes(path string, text askText) {
	if text.MaxAge < 0 {
		c.report(path+".max_age", "the age is negative", "write 0s for an answer of now")
	}
	if text.Timeout < 0 || text.Timeout == 0 && c.doc.Has(path+".timeout") && !c.undecoded(path+".timeout") {
		c.report(path+".timeout", "the time is not more than zero", "leave timeout out to take what the budget leaves")
	}
}

// capability finds what is asked; without a method if that is not there.
func (c *compiler) capability(path string, text askText) pim.Capability {
	if text.Connector == "" || text.Capability == "" {
		return pim.Capability{} // reported when it was decoded
	}
	connector, ok := c.connectors[text.Connector]
	if !ok {
		known := slices.Sorted(maps.Keys(c.connectors))
		c.report(path+".connector", fmt.Sprintf("no connector is named %s", text.Connector), nearest(text.Connector, known))
		return pim.Capability{}
	}
	var words []string
	for _, capability := range connector.Capabilities {
		if text.Capability == capability.Word || text.Capability == capability.Method {
			c.used[connector.Name+" "+capability.Method] = capability
			return capability
		}
		if capability.Word == "" {
			words = append(words, capability.Method)
			continue
		}
		words = append(words, capability.Word)
	}
	c.report(path+".capability", fmt.Sprintf("the connector %s has no capability %s", connector.Name, text.Capability), nearest(text.Capability, words))
	return pim.Capability{}
}

// arguments compiles the arguments of every ask.
func (c *compiler) arguments() {
	if c.p.scope == nil {
		return
	}
	for i := range c.p.asks {
		a := &c.p.asks[i]
		if a.capability.Method == "" {
			continue
		}
		path := strictyaml.Join(c.path+".ask", a.name)
		given := c.text.Ask[a.name].Args
		for _, name := range slices.Sorted(maps.Keys(given)) {
			c.argument(strictyaml.Join(path+".args", name), a, argument{name: name}, given[name])
		}
		c.required(path, a, given)
	}
}

func (c *compiler) required(path string, a *ask, given map[string]any) {
	if c.undecoded(path + ".args") {
		return
	}
	for _, field := range a.capability.Arguments {
		if _, ok := given[field.Name]; !ok && field.Required {
			c.report(path+".args", fmt.Sprintf("the argument %s is missing", field.Name), "add it: "+field.Doc)
		}
	}
	if len(given) == 0 && len(a.capability.Arguments) > 0 && !slices.ContainsFunc(a.capability.Arguments, func(f pim.Field) bool { return f.Required }) {
		c.report(path, "the ask has no arguments", "give it one of "+strings.Join(argumentNames(a.capability), ", "))
	}
}

func argumentNames(capability pim.Capability) []string {
	var names []string
	for _, field := range capability.Arguments {
		names = append(names, field.Name)
	}
	return names
}

func (c *compiler) argument(path string, a *ask, arg argument, written any) {
	i := slices.IndexFunc(a.capability.Arguments, func(f pim.Field) bool { return f.Name == arg.name })
	if i < 0 {
		c.report(path, fmt.Sprintf("the capability %s has no argument %s", c.text.Ask[a.name].Capability, arg.name), nearest(arg.name, argumentNames(a.capability)))
		return
	}
	text, ok := expressionOf(written)
	if !ok {
		if !c.undecoded(path) {
			c.report(path, "an argument is an expression", "write it as one text")
		}
		return
	}
	expr, problems := c.p.scope.Compile(text, condition.Argument(a.capability.Arguments[i].Type))
	c.reportText(path, problems)
	if expr == nil {
		return
	}
	arg.expr = expr
	a.args = append(a.args, arg)
	for _, other := range expr.Asks() {
		if !slices.Contains(a.needs, other) {
			a.needs = append(a.needs, other)
		}
	}
}

// expressionOf takes numbers and booleans of YAML for those of CEL.
func expressionOf(written any) (string, bool) {
	switch v := written.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		if text := strconv.FormatFloat(v, 'g', -1, 64); strings.ContainsAny(text, ".e") || math.IsInf(v, 0) {
			return text, true
		}
		return strconv.FormatFloat(v, 'f', 1, 64), true
	}
	return "", false
}

func nearest(word string, known []string) string {
	if near, ok := strictyaml.Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "there are none"
	}
	return "write one of " + strings.Join(known, ", ")
}
