package policy

import (
	"slices"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/condition"
	"github.com/countersign/countersign/gateway/internal/policy/target"
)

// Explanation says how a decision came about, for whoever writes policies.
type Explanation struct {
	Decision pim.Decision  `json:"decision"`
	Policies []Explanatory `json:"policies"`
}

// Explanatory is one policy, whether it applies or not.
type Explanatory struct {
	Name  string   `json:"name"`
	Place string   `json:"place"` // file:line:column
	Mode  pim.Mode `json:"mode"`
	// Applies is whether it does, and Why says why or why not.
	Applies   bool            `json:"applies"`
	Why       string          `json:"why"`
	When      string          `json:"when,omitempty"`
	Otherwise string          `json:"otherwise,omitempty"`
	Asks      []ExplainedAsk  `json:"asks,omitempty"`
	Rules     []ExplainedRule `json:"rules,omitempty"`
}

// ExplainedAsk is one ask of a policy that applies.
type ExplainedAsk struct {
	Name       string         `json:"name"`
	Connector  string         `json:"connector"`
	Capability string         `json:"capability"`
	Arguments  map[string]any `json:"arguments,omitempty"`
	// State is "answered", "not found", "fault", "not answered", "arguments not known" or "not needed".
	State string `json:"state"`
	// Detail says more about a fault, or about an ask that was not put.
	Detail string    `json:"detail,omitempty"`
	Fault  pim.Fault `json:"fault,omitempty"`
	Stale  bool      `json:"stale,omitempty"`
}

// ExplainedRule is one rule of a policy that applies.
type ExplainedRule struct {
	pim.RuleResult
	Expression string          `json:"expression"`
	Facts      []ExplainedFact `json:"facts,omitempty"`
	// Reason is what it would say to the requester.
	Reason string `json:"reason,omitempty"`
}

// ExplainedFact is one fact that a rule names. The value of a secret is left out.
type ExplainedFact struct {
	Name  string    `json:"name"` // "ask.fact"
	State pim.State `json:"state"`
	Value any       `json:"value,omitempty"`
}

// Explain tells every policy's part in the decision.
func (p *Plan) Explain(found Findings) Explanation {
	x := Explanation{Decision: p.Decide(found)}
	rules := p.evaluate(found)
	for _, candidate := range p.set.policies {
		i := slices.IndexFunc(p.policies, func(a *applying) bool { return a.policy == candidate })
		if i < 0 {
			x.Policies = append(x.Policies, p.absent(candidate))
			continue
		}
		x.Policies = append(x.Policies, p.present(p.policies[i], found, rules, x.Decision.Rules))
	}
	return x
}

func header(candidate *policy) Explanatory {
	x := Explanatory{Name: candidate.name, Place: candidate.place, Mode: candidate.mode, Otherwise: string(candidate.otherwise)}
	if candidate.when != nil {
		x.When = candidate.when.Text()
	}
	return x
}

// absent explains a policy that does not apply.
func (p *Plan) absent(candidate *policy) Explanatory {
	x := header(candidate)
	covers := slices.ContainsFunc(candidate.selectors, func(s target.Selector) bool { return s.Covers(p.activation) })
	switch {
	case p.activation.Action.GivesUpAccess():
		x.Why = "giving up access is approved without policies"
	case !knownAction(p.activation.Action):
		x.Why = "the action is not known, so that the default decides"
	case !covers:
		x.Why = "applies_to does not cover the activation"
	case !slices.Contains(candidate.stages, p.activation.Stage):
		x.Why = "it is not for the stage " + string(p.activation.Stage)
	default:
		x.Why = "when is false"
	}
	return x
}

// present explains a policy that applies.
func (p *Plan) present(a *applying, found Findings, rules []evaluated, results []pim.RuleResult) Explanatory {
	x := header(a.policy)
	x.Applies, x.Why = true, "applies_to covers the activation"
	switch {
	case a.whenErr != nil:
		x.Why = "only its require, hold and otherwise: deny apply, since when is an error: " + a.whenErr.Error()
	case a.when != nil:
		x.Why += " and when is true"
	}
	v := p.look(a, found)
	for i := range a.asks {
		x.Asks = append(x.Asks, v.explainAsk(a, i))
	}
	for i := range rules {
		if rules[i].applying == a {
			x.Rules = append(x.Rules, rules[i].explain(results[i]))
		}
	}
	return x
}

func (v *view) explainAsk(a *applying, i int) ExplainedAsk {
	asked := &a.asks[i]
	x := ExplainedAsk{Name: asked.name, Connector: asked.connector, Capability: asked.capability.Method}
	if v.asks[i].memo != nil {
		x.Arguments = v.asks[i].memo.ask.Arguments
	}
	finding := v.vars.Finding(i)
	switch {
	case !a.fetches[i]:
		x.State = "not needed"
	case v.asks[i].memo == nil:
		x.State = "arguments not known"
	case finding == nil:
		x.State = "not answered"
	case finding.Fault != pim.NoFault:
		x.State, x.Fault, x.Detail = "fault", finding.Fault, finding.Detail
	case !finding.Found:
		x.State, x.Detail, x.Stale = "not found", finding.Detail, v.asks[i].stale
	default:
		x.State, x.Stale = "answered", v.asks[i].stale
	}
	return x
}

func (e *evaluated) explain(result pim.RuleResult) ExplainedRule {
	x := ExplainedRule{RuleResult: result, Expression: e.expr.Text(), Reason: e.sentence()}
	for i, use := range e.expr.Uses() {
		fact := ExplainedFact{Name: e.used[i], State: pim.Unknown}
		if finding := e.view.vars.Finding(use.Ask); finding != nil {
			f := finding.Fact(use.Fact)
			fact.State, fact.Value = f.State, f.Value
		}
		if isSecret(e.applying.asks[use.Ask].capability, use.Fact) {
			fact.Value = nil
		}
		x.Facts = append(x.Facts, fact)
	}
	return x
}

func isSecret(capability pim.Capability, name string) bool {
	return slices.ContainsFunc(condition.Facts(capability), func(f pim.Field) bool {
		return f.Name == name && condition.HoldsSecret(f)
	})
}
