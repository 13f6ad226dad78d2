package policy

import (
	"fmt"
	"slices"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/reason"
)

// PIM shows what we answer; a denial leaves one of the three lines to the evaluation's reference.
const (
	maxReasons       = 3
	maxDenialReasons = 2
)

// reasons are for the requester, of the enforced rules that the outcome rests on.
func (p *Plan) reasons(rules []evaluated, returned pim.Outcome) []string {
	var said speech
	switch returned {
	case pim.Denied:
		return p.denial(rules)
	case pim.Approved:
		said.about(rules, (*evaluated).isHeld, (*evaluated).sentence)
		said.about(rules, (*evaluated).isOpen, (*evaluated).uncertainty)
		said.about(rules, grantsNow, (*evaluated).sentence)
	case pim.AutoApproved:
		said.about(rules, grantsNow, (*evaluated).sentence)
	}
	return said.first(maxReasons)
}

// denial names the requires that are known to fail, then those that could not be checked, then the
// policies that deny, and at last the default.
func (p *Plan) denial(rules []evaluated) []string {
	var said speech
	said.about(rules, (*evaluated).isBroken, (*evaluated).sentenceOrOwn)
	said.about(rules, (*evaluated).isUnchecked, (*evaluated).retry)
	if len(said) == 0 {
		said.about(rules, (*evaluated).isPending, (*evaluated).retry)
	}
	if len(said) > 0 {
		return said.first(maxDenialReasons)
	}
	for i := range p.policies {
		if a := p.policies[i]; enforced(a) && a.fallback() == deny && !a.grantsIn(rules) {
			said.add(fmt.Sprintf("The policy %s does not allow this activation.", a.name))
		}
	}
	if len(said) > 0 {
		return said.first(maxDenialReasons)
	}
	return p.fallbackReasons("No policy allows this activation.")
}

// fallbackReasons explain `default`, if that denies.
func (p *Plan) fallbackReasons(sentence string) []string {
	if p.set.fallback != pim.Denied {
		return nil
	}
	return []string{sentence}
}

func (a *applying) grantsIn(rules []evaluated) bool {
	return slices.ContainsFunc(rules, func(e evaluated) bool { return e.applying == a && e.grants(asItIs) })
}

// speech is what is said, each sentence once.
type speech []string

func (s *speech) add(sentence string) {
	if sentence != "" && !slices.Contains(*s, sentence) {
		*s = append(*s, sentence)
	}
}

// about says something of each enforced rule of a kind.
func (s *speech) about(rules []evaluated, which func(*evaluated) bool, say func(*evaluated) string) {
	for i := range rules {
		if e := &rules[i]; enforced(e.applying) && which(e) {
			s.add(say(e))
		}
	}
}

func (s speech) first(n int) []string { return s[:min(n, len(s))] }

// isBroken is a require that is known not to be met.
func (e *evaluated) isBroken() bool {
	return e.kind == pim.Require && (e.truth == pim.False || e.truth == pim.Failed)
}

// isUnchecked is a require that denies because it is unknown for good. One that is pending was not
// waited for, since something else denies.
func (e *evaluated) isUnchecked() bool {
	return !e.isBroken() && e.fails(asItIs) && e.truth != pim.Pending
}

// isPending is a require that denies because its facts have not come.
func (e *evaluated) isPending() bool { return e.truth == pim.Pending && e.fails(asItIs) }

// isHeld is a hold that is known to hold.
func (e *evaluated) isHeld() bool {
	return e.kind == pim.Hold && (e.truth == pim.True || e.truth == pim.Failed)
}

// isOpen is a require or hold that is unknown and did not deny.
func (e *evaluated) isOpen() bool {
	return e.kind != pim.AutoApprove && (e.truth == pim.Unsure || e.truth == pim.Pending)
}

func grantsNow(e *evaluated) bool { return e.grants(asItIs) }

// sentence is the rule's own reason; empty if it has none.
func (e *evaluated) sentence() string {
	if e.reason == nil {
		return ""
	}
	return e.reason.Render(e.view.vars)
}

// sentenceOrOwn is never empty: somebody who is denied must be able to ask about something.
func (e *evaluated) sentenceOrOwn() string {
	if said := e.sentence(); said != "" {
		return said
	}
	return reason.Plain(fmt.Sprintf("The rule %s of the policy %s is not met.", e.name, e.policy.name))
}

// uncertainty says why an unknown rule could not be checked. It does not claim the rule's reason.
func (e *evaluated) uncertainty() string {
	cause := "facts are missing"
	if len(e.lacks) > 0 {
		cause = e.view.why(e.applying, e.lacks[0], e)
	}
	return reason.Plain(fmt.Sprintf("%s could not be checked: %s.", e.name, cause))
}

func (e *evaluated) retry() string { return reason.Plain(e.uncertainty() + " Try again shortly.") }

// missing says to the policy's author which asks an unknown rule lacks, and why.
func (e *evaluated) missing() []string {
	var out []string
	for _, ask := range e.lacks {
		out = append(out, e.applying.asks[ask].name+": "+e.view.why(e.applying, ask, e))
	}
	return out
}

// why names the connector that is to blame for an ask's missing facts, and what is the matter with it.
func (v *view) why(a *applying, ask int, e *evaluated) string {
	ask = v.rootOf(a, ask)
	connector := a.asks[ask].connector
	finding := v.vars.Finding(ask)
	switch {
	case finding == nil:
		return connector + " has not answered yet"
	case finding.Fault == pim.NoFault:
		return connector + " does not tell " + hidden(e, ask, finding)
	case finding.FaultSource == pim.FromQuestion && finding.Fault == pim.Unavailable:
		return connector + " could not be asked"
	}
	return connector + " " + inWords(finding.Fault)
}

// rootOf follows the arguments to the ask that keeps this one from being answered.
func (v *view) rootOf(a *applying, ask int) int {
	for v.asks[ask].memo == nil {
		i := slices.IndexFunc(a.asks[ask].needs, v.vars.Pending)
		if i < 0 {
			return ask
		}
		ask = a.asks[ask].needs[i]
	}
	return v.asks[ask].blame
}

// hidden is the first fact that the rule names and the connector does not tell.
func hidden(e *evaluated, ask int, finding *pim.Finding) string {
	for _, u := range e.expr.Uses() {
		if u.Ask == ask && finding.Fact(u.Fact).State == pim.Unknown {
			return u.Fact
		}
	}
	return "enough"
}

func inWords(f pim.Fault) string {
	switch f {
	case pim.Unavailable:
		return "is not available"
	case pim.Timeout:
		return "did not answer in time"
	case pim.Refused:
		return "refused to tell"
	case pim.Malformed:
		return "gave an answer that makes no sense"
	case pim.Ambiguous:
		return "knows more than one that fits"
	case pim.BreakerOpen:
		return "is failing at the moment"
	case pim.Busy:
		return "has too much to do"
	case pim.NoFault:
	}
	return "did not answer"
}
