package policy

import (
	"slices"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// The causes of decisions that no policy made.
const (
	causeGivesUp       = "gives_up_access"
	causeUnknownAction = "unknown_action"
)

// evaluated is what a rule came to.
type evaluated struct {
	ruleInPlan
	applying *applying
	view     *view
	truth    pim.Truth
	err      error
	lacks    []int // asks without which it is unknown
	// stale is set if a fact that the rule names is stale, mayBeStale if one that has not come may be.
	stale, mayBeStale bool
}

// evaluate reads all rules of the policies that apply, in the order of the documents.
func (p *Plan) evaluate(found Findings) []evaluated {
	n := 0
	for i := range p.policies {
		n += len(p.policies[i].rules)
	}
	out := make([]evaluated, 0, n)
	for i := range p.policies {
		a := p.policies[i]
		v := p.look(a, found)
		for _, r := range a.rules {
			out = append(out, evaluateRule(a, v, r))
		}
	}
	return out
}

func evaluateRule(a *applying, v *view, r ruleInPlan) evaluated {
	e := evaluated{ruleInPlan: r, applying: a, view: v}
	if r.tooCostly {
		e.truth, e.err = pim.Failed, errTooCostly
		return e
	}
	for _, ask := range r.expr.Asks() {
		e.stale = e.stale || v.asks[ask].stale
		e.mayBeStale = e.mayBeStale || v.vars.Pending(ask)
	}
	result := r.expr.Evaluate(v.vars)
	e.err, e.lacks = result.Err, result.Lacks
	switch {
	case result.State == pim.Known && result.True():
		e.truth = pim.True
	case result.State == pim.Known:
		e.truth = pim.False
	case result.Err != nil:
		e.truth = pim.Failed
	case result.Pending:
		e.truth = pim.Pending
	default:
		e.truth = pim.Unsure
	}
	return e
}

// outlook is how rules that are pending are taken.
type outlook int

const (
	asItIs outlook = iota // as unknown
	atBest                // as whatever gives the most access
	atWorst
)

// truthIn is a rule's truth. Outcomes never fall when a require or auto_approve becomes true that was
// not, or a hold false, so that the best and the worst case bound whatever may come.
func (e *evaluated) truthIn(o outlook) pim.Truth {
	switch {
	case e.truth != pim.Pending || o == asItIs:
		return e.truth
	case (o == atBest) == (e.kind != pim.Hold):
		return pim.True
	default:
		return pim.False
	}
}

func (e *evaluated) staleIn(o outlook) bool { return e.stale || o == atWorst && e.mayBeStale }

// fails reports whether a require denies.
func (e *evaluated) fails(o outlook) bool {
	if e.kind != pim.Require {
		return false
	}
	switch e.truthIn(o) {
	case pim.True:
		return false
	case pim.Unsure, pim.Pending:
		return !e.tolerant
	case pim.False, pim.Failed:
	}
	return true
}

// grants reports whether an auto_approve grants.
func (e *evaluated) grants(o outlook) bool {
	return e.kind == pim.AutoApprove && e.truthIn(o) == pim.True
}

// keepsPerson reports whether the rule keeps a grant from being more than Approved: a require that is
// not known true, a hold that is not known false, or one of them or a grant that rests on a stale fact.
func (e *evaluated) keepsPerson(o outlook) bool {
	switch e.kind {
	case pim.Require:
		return e.truthIn(o) != pim.True || e.staleIn(o)
	case pim.Hold:
		return e.truthIn(o) != pim.False || e.staleIn(o)
	case pim.AutoApprove:
	}
	// A grant that may still come may come stale; at best it does not come.
	return e.staleIn(o) && (e.truth == pim.True || o == atWorst && e.truth == pim.Pending)
}

// Settled reports whether no finding that is missing could change the returned or the recommended
// outcome.
func (p *Plan) Settled(found Findings) bool {
	if len(p.policies) == 0 {
		return true
	}
	rules := p.evaluate(found)
	for _, counts := range []func(*applying) bool{enforced, everyPolicy} {
		if p.outcome(rules, counts, atBest) != p.outcome(rules, counts, atWorst) {
			return false
		}
	}
	return true
}

func enforced(a *applying) bool { return a.mode == pim.Enforce }

func everyPolicy(*applying) bool { return true }

// outcome reads the policies that count.
func (p *Plan) outcome(rules []evaluated, counts func(*applying) bool, o outlook) pim.Outcome {
	if !slices.ContainsFunc(p.policies, counts) {
		if len(p.policies) > 0 {
			return pim.Approved // only shadow policies apply
		}
		return p.set.fallback
	}
	granting := map[*applying]bool{}
	for i := range rules {
		e := &rules[i]
		if !counts(e.applying) {
			continue
		}
		if e.fails(o) {
			return pim.Denied
		}
		if e.grants(o) {
			granting[e.applying] = true
		}
	}
	return p.verdict(rules, counts, o, granting)
}

// verdict is outcome after all requires have passed.
func (p *Plan) verdict(rules []evaluated, counts func(*applying) bool, o outlook, granting map[*applying]bool) pim.Outcome {
	abstained := true
	for i := range p.policies {
		a := p.policies[i]
		if !counts(a) || granting[a] {
			continue
		}
		if a.fallback() == deny {
			return pim.Denied
		}
		abstained = abstained && a.fallback() == abstain
	}
	switch {
	case len(granting) > 0 && p.activation.Stage == pim.PreApproval && !kept(rules, counts, o):
		return pim.AutoApproved
	case len(granting) == 0 && abstained:
		return p.set.fallback
	}
	return pim.Approved
}

// kept reports whether a rule keeps the grant from skipping a person's approval.
func kept(rules []evaluated, counts func(*applying) bool, o outlook) bool {
	for i := range rules {
		if counts(rules[i].applying) && rules[i].keepsPerson(o) {
			return true
		}
	}
	return false
}

// Decide reads the policies over what was found. What is missing counts as unknown.
func (p *Plan) Decide(found Findings) pim.Decision {
	d := pim.Decision{PolicyRevision: p.set.revision}
	switch {
	case p.activation.Action.GivesUpAccess():
		d.Recommended, d.Returned, d.Cause = pim.Approved, pim.Approved, causeGivesUp
		return d
	case !knownAction(p.activation.Action):
		d.Recommended, d.Returned, d.Cause = p.set.fallback, p.set.fallback, causeUnknownAction
		d.Reasons = p.fallbackReasons("The requested action is not known here.")
		return d
	}
	rules := p.evaluate(found)
	d.Recommended = p.outcome(rules, everyPolicy, asItIs)
	d.Returned = p.outcome(rules, enforced, asItIs)
	for i := range p.policies {
		d.Policies = append(d.Policies, p.policies[i].name)
	}
	d.Rules = results(rules, d.Returned)
	d.Reasons = p.reasons(rules, d.Returned)
	return d
}

func results(rules []evaluated, returned pim.Outcome) []pim.RuleResult {
	if len(rules) == 0 {
		return nil
	}
	granted := slices.ContainsFunc(rules, func(e evaluated) bool { return enforced(e.applying) && e.grants(asItIs) })
	out := make([]pim.RuleResult, len(rules))
	for i := range rules {
		e := &rules[i]
		out[i] = pim.RuleResult{
			Policy: e.policy.name, Mode: e.policy.mode, Rule: e.name, Kind: e.kind, Truth: e.truth,
			Used: e.used, Stale: e.stale, Missing: e.missing(), Decisive: e.decides(returned, granted),
		}
		if e.err != nil {
			out[i].Error = e.err.Error()
		}
	}
	return out
}

// decides reports whether the returned outcome rests on the rule: the requires that deny, or the rules
// that grant and, where they were not enough, what kept them from being it.
func (e *evaluated) decides(returned pim.Outcome, granted bool) bool {
	if !enforced(e.applying) {
		return false
	}
	switch returned {
	case pim.Denied:
		return e.fails(asItIs)
	case pim.Approved:
		return granted && (e.grants(asItIs) || e.keepsPerson(asItIs))
	case pim.AutoApproved:
		return e.grants(asItIs)
	}
	return false
}
