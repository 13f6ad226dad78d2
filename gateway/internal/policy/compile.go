package policy

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/condition"
	"github.com/countersign/countersign/gateway/internal/policy/reason"
	"github.com/countersign/countersign/gateway/internal/policy/target"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// policy is one policy, ready to run.
type policy struct {
	name      string
	place     string
	mode      pim.Mode
	stages    []pim.Stage
	selectors []target.Selector
	when      *condition.Expression // nil: always
	human     bool
	scope     *condition.Scope
	asks      []ask
	order     []int // of asks: those whose arguments need others after them
	rules     []rule
	otherwise otherwiseWord
}

// rule is one rule, ready to run.
type rule struct {
	policy *policy
	name   string
	kind   pim.RuleKind
	expr   *condition.Expression
	// tolerant is set for when_unknown: approve.
	tolerant bool
	reason   *reason.Template // nil: a sentence of our own
	used     []string         // "ask.fact"
	needs    []int            // asks of the expression, and of their arguments
	fetches  []int            // needs, and the asks of the reason
}

// ruleName keeps names readable in reasons, metrics and logs.
var ruleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$`)

// compiler checks one policy and makes it ready to run.
type compiler struct {
	*file
	path string
	text policyText
	p    *policy
}

func (c *compiler) compile() *policy {
	c.p = &policy{
		name: c.text.Name, place: c.place(c.path), mode: pim.Enforce, human: c.text.HumanApproval, otherwise: c.text.Otherwise,
	}
	if c.text.Mode != "" {
		c.p.mode = pim.Mode(c.text.Mode)
	}
	c.checkName(c.path, c.text.Name)
	c.stages()
	c.appliesTo()
	c.when()
	c.scope()
	c.arguments()
	c.rules()
	c.graph()
	c.unused()
	return c.p
}

func (c *compiler) checkName(path, name string) {
	if c.doc.Has(path+".name") && !ruleName.MatchString(name) && !c.undecoded(path+".name") {
		c.report(path+".name", "the name is empty, too long or has a character that names cannot have",
			"use up to 64 letters, digits, spaces, dots, dashes and underscores, beginning with a letter or digit")
	}
}

func (c *compiler) stages() {
	path := c.path + ".stages"
	if c.doc.Has(path) && len(c.text.Stages) == 0 && !c.undecoded(path) {
		c.report(path, "the list of stages is empty", "name a stage, or leave stages out for both")
	}
	for i, word := range c.text.Stages {
		stage := pim.Stage(word)
		if slices.Contains(c.p.stages, stage) && word != "" {
			c.report(strictyaml.Index(path, i), "the stage is here twice", "remove one")
		}
		c.p.stages = append(c.p.stages, stage)
	}
	if len(c.p.stages) == 0 {
		c.p.stages = []pim.Stage{pim.PreApproval, pim.PostApproval}
	}
}

// onlyPost reports whether the policy speaks after human approval only.
func (c *compiler) onlyPost() bool {
	return len(c.p.stages) == 1 && c.p.stages[0] == pim.PostApproval
}

func (c *compiler) appliesTo() {
	path := c.path + ".applies_to"
	a := c.text.AppliesTo
	if a.EntraRoles == nil && a.AzureResources == nil && a.Groups == nil && c.doc.Has(path) && !c.undecoded(path) {
		c.report(path, "applies_to covers nothing", "add entra_roles, azure_resources or groups")
	}
	c.selectRoles(path+".entra_roles", pim.EntraRole, a.EntraRoles)
	c.selectRoles(path+".azure_resources", pim.AzureResource, a.AzureResources)
	c.selectGroups(path+".groups", a.Groups)
}

func (c *compiler) selectRoles(path string, provider pim.Provider, text *rolesText) {
	if text == nil {
		return
	}
	s := target.Selector{Provider: provider}
	s.IDs = c.ids(path+".roles", text.Roles, func(written string) (string, *strictyaml.Flaw) { return target.Role(provider, written) })
	if c.doc.Has(path+".scopes") && len(text.Scopes) == 0 && !c.undecoded(path) {
		c.report(path+".scopes", "the list of scopes is empty", "name a scope, or leave scopes out for every scope")
	}
	for i, written := range text.Scopes {
		scope, flaw := target.ParseScope(provider, written)
		c.flaw(strictyaml.Index(path+".scopes", i), flaw)
		s.Scopes = append(s.Scopes, scope)
	}
	c.p.selectors = append(c.p.selectors, s)
}

func (c *compiler) selectGroups(path string, text *groupsText) {
	if text == nil {
		return
	}
	s := target.Selector{Provider: pim.Group, IDs: c.ids(path+".ids", text.IDs, target.Group)}
	if c.doc.Has(path+".access") && len(text.Access) == 0 && !c.undecoded(path) {
		c.report(path+".access", "the list of kinds of access is empty", "name one, or leave access out for both")
	}
	for _, word := range text.Access {
		s.Access = append(s.Access, pim.Access(word))
	}
	if len(s.Access) == 0 {
		s.Access = []pim.Access{pim.Member, pim.Owner}
	}
	c.p.selectors = append(c.p.selectors, s)
}

func (c *compiler) ids(path string, written []string, read func(string) (string, *strictyaml.Flaw)) []string {
	if len(written) == 0 && c.doc.Has(path) && !c.undecoded(path) {
		c.report(path, "the list is empty", `name at least one, or "*" for every one`)
	}
	var ids []string
	for i, w := range written {
		if w == target.Every && len(written) > 1 {
			c.report(strictyaml.Index(path, i), `"*" stands beside others`, `write ["*"] alone, or leave the star out`)
		}
		at := strictyaml.Index(path, i)
		if c.undecoded(at) {
			continue
		}
		id, flaw := read(w)
		c.flaw(at, flaw)
		ids = append(ids, id)
	}
	return ids
}

func (c *compiler) flaw(path string, flaw *strictyaml.Flaw) {
	if flaw != nil && !c.undecoded(path) {
		c.report(path, flaw.Message, flaw.Remedy)
	}
}

func (c *compiler) when() {
	path := c.path + ".when"
	if !c.doc.Has(path) || c.undecoded(path) {
		return
	}
	expr, problems := c.set.library.When().Compile(c.text.When, condition.Condition())
	c.reportText(path, problems)
	c.p.when = expr
}

func (c *compiler) rules() {
	names := map[string]bool{}
	for i, text := range c.text.Rules {
		path := strictyaml.Index(c.path+".rules", i)
		c.checkName(path, text.Name)
		if names[text.Name] && text.Name != "" {
			c.report(path+".name", fmt.Sprintf("a rule of this policy is named %s already", text.Name), "give it another name")
		}
		names[text.Name] = true
		c.rule(path, text)
	}
}

func (c *compiler) rule(path string, text ruleText) {
	r := rule{policy: c.p, name: text.Name, tolerant: text.WhenUnknown == "approve"}
	expression, ok := c.kind(path, text, &r)
	if ok {
		c.checkStage(path, r)
		c.checkUnknown(path, r)
		r.expr = c.condition(path+"."+string(r.kind), expression)
	}
	if at := path + ".reason"; c.doc.Has(at) && !c.undecoded(at) && c.p.scope != nil {
		template, problems := reason.Parse(text.Reason, c.p.scope)
		c.reportText(at, problems)
		r.reason = template
	}
	c.p.rules = append(c.p.rules, r)
}

// kind finds the one condition that a rule has.
func (c *compiler) kind(path string, text ruleText, r *rule) (expression string, ok bool) {
	given := 0
	for kind, text := range map[pim.RuleKind]string{pim.Require: text.Require, pim.AutoApprove: text.AutoApprove, pim.Hold: text.Hold} {
		if c.doc.Has(path + "." + string(kind)) {
			given++
			r.kind, expression = kind, text
		}
	}
	if given != 1 && !c.undecoded(path) {
		c.report(path, fmt.Sprintf("the rule has %d conditions", given), "give it exactly one of require, auto_approve and hold")
	}
	return expression, given == 1 && !c.undecoded(path+"."+string(r.kind))
}

func (c *compiler) checkStage(path string, r rule) {
	if r.kind == pim.AutoApprove && c.onlyPost() {
		c.report(path+".auto_approve", "nothing can be auto-approved after human approval", "remove the rule, or add pre_approval to the policy's stages")
	}
}

func (c *compiler) checkUnknown(path string, r rule) {
	at := path + ".when_unknown"
	switch {
	case !c.doc.Has(at):
	case r.kind != pim.Require:
		c.report(at, "when_unknown is for require", "remove it: an unknown auto_approve does not grant, and an unknown hold holds")
	case r.tolerant && !c.text.HumanApproval && !c.onlyPost():
		c.report(at, "approving what is unknown grants access at once where the role has no approver",
			"set human_approval: true if it has one, or the policy's stages to [post_approval], or write deny")
	}
}

func (c *compiler) condition(path, text string) *condition.Expression {
	if c.p.scope == nil {
		return nil
	}
	expr, problems := c.p.scope.Compile(text, condition.Condition())
	c.reportText(path, problems)
	return expr
}
