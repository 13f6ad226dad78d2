package policy

import (
	"slices"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/condition"
)

// maxEvaluationCost bounds what all conditions of one evaluation may cost together, each taken at its
// most, in CEL's units (50 to 200 ns each): under half a second at the very worst, and thousands of
// ordinary conditions. What is beyond it, in the order of the documents, is an error and so counts as
// the restrictive answer.
const maxEvaluationCost = 2_000_000

// Findings are what came back so far.
type Findings = map[pim.AskKey]pim.Finding

// Plan is what the policies make of one activation. It is safe for concurrent use.
type Plan struct {
	set        *Set
	activation pim.Activation
	subject    *condition.Subject
	policies   []*applying
}

// applying is a policy that applies.
type applying struct {
	*policy
	// whenErr is set if `when` is an error: then only the restrictive half of the policy applies.
	whenErr error
	rules   []ruleInPlan
	fetches []bool   // by ask: whether a rule in the plan needs it
	asked   []memory // by ask
}

// ruleInPlan is a rule of a policy that applies, unless all of them together cost too much.
type ruleInPlan struct {
	*rule
	tooCostly bool
}

// Plan chooses the policies that apply. It asks nothing.
func (s *Set) Plan(a pim.Activation, now time.Time) *Plan {
	p := &Plan{set: s, activation: a, subject: s.library.NewSubject(a, s.names.Name(a.Provider, a.RoleID), now)}
	if a.Action.GivesUpAccess() || !knownAction(a.Action) {
		return p
	}
	budget := uint64(maxEvaluationCost)
	whens := s.library.When().NewVars(p.subject)
	for _, number := range s.index.Find(a) {
		candidate := s.policies[number]
		if !slices.Contains(candidate.stages, a.Stage) {
			continue
		}
		applies, err := candidate.applies(whens, &budget)
		if applies || err != nil {
			p.policies = append(p.policies, candidate.apply(err, &budget))
		}
	}
	return p
}

// knownAction reports whether policies speak of the action. Whatever is not listed is unknown.
func knownAction(a pim.Action) bool {
	switch a {
	case pim.AdminAssign, pim.AdminUpdate, pim.AdminRemove, pim.AdminExtend, pim.AdminRenew,
		pim.SelfActivate, pim.SelfDeactivate, pim.SelfExtend, pim.SelfRenew:
		return true
	case pim.UnknownAction:
	}
	return false
}

func (p *policy) applies(vars *condition.Vars, budget *uint64) (bool, error) {
	if p.when == nil {
		return true, nil
	}
	if !spend(budget, p.when.MaxCost()) {
		return false, errTooCostly
	}
	r := p.when.Evaluate(vars)
	return r.True(), r.Err
}

func (p *policy) apply(whenErr error, budget *uint64) *applying {
	a := &applying{policy: p, whenErr: whenErr, fetches: make([]bool, len(p.asks)), asked: make([]memory, len(p.asks))}
	a.rules = make([]ruleInPlan, 0, len(p.rules))
	for i := range p.rules {
		r := &p.rules[i]
		if whenErr != nil && r.kind == pim.AutoApprove {
			continue
		}
		a.rules = append(a.rules, ruleInPlan{rule: r, tooCostly: !spend(budget, r.expr.MaxCost())})
		for _, ask := range r.fetches {
			a.fetches[ask] = true
		}
	}
	return a
}

// fallback is the policy's verdict if nothing grants.
func (a *applying) fallback() otherwiseWord {
	if a.whenErr != nil && a.otherwise == approve {
		return abstain
	}
	return a.otherwise
}

func spend(budget *uint64, cost uint64) bool {
	if cost > *budget {
		return false
	}
	*budget -= cost
	return true
}

// Next returns every ask whose arguments are known and that has no finding yet, each once; the caller
// remembers which are under way. The second list are findings of asks that need no asking: an argument
// that is none finds nothing, and an argument that is unknown is a fault.
func (p *Plan) Next(found Findings) (asks []pim.Ask, foregone []pim.Finding) {
	seen := map[pim.AskKey]bool{}
	for i := range p.policies {
		a := p.policies[i]
		v := p.look(a, found)
		for n := range a.asks {
			if !a.fetches[n] || v.asks[n].memo == nil {
				continue
			}
			m := v.asks[n].memo
			if _, answered := found[m.key]; answered || seen[m.key] {
				continue
			}
			seen[m.key] = true
			if m.foregone != nil {
				foregone = append(foregone, *m.foregone)
				continue
			}
			asks = append(asks, m.ask)
		}
	}
	return asks, foregone
}

// OnlyShadow reports whether policies apply and none of them is enforced: a rehearsal, in which
// nothing that goes wrong may keep anybody from anything.
func (p *Plan) OnlyShadow() bool {
	return len(p.policies) > 0 && !slices.ContainsFunc(p.policies, enforced)
}
