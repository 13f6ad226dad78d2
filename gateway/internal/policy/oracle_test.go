package policy_test

import (
	"slices"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// This file reads the semantics of policies (the ten points of the design) by brute force. It shares no
// code with the package: it has its own expressions and its own logic of four values.

type truth int

const (
	isFalse truth = iota
	isTrue
	isUnknown
	isError
)

// node is an expression of the small grammar.
type node struct {
	op       string // lit, fact, has, less, lessFact, longer, ticketed, not, and, or, if
	value    bool
	ask      string
	fact     string
	otherAsk string
	limit    int64
	args     []*node
}

// world is what each connector would answer; a connector that is not in it never answers.
type world map[string]reply

// reply is the answer of one connector.
type reply struct {
	fault  bool
	absent bool // not found
	stale  bool
	facts  map[string]pim.Fact
}

// oracle reads one case.
type oracle struct {
	c     testCase
	world world
}

// learnt is what is known of one ask: nothing yet, a fault, or facts.
type learnt struct {
	missing bool
	reply   reply
	stale   bool
}

// asks of the test cases: ask name, connector, and what its argument is.
//
//	first: the principal, second: the ticket's number (which may be none),
//	third: first.s, fourth: third.s
func (o oracle) ask(name string) learnt {
	switch name {
	case "first":
		return o.answered("c1", false)
	case "second":
		if o.c.activation.Ticket.Number == "" {
			return learnt{reply: reply{absent: true}}
		}
		return o.answered("c2", false)
	case "third":
		return o.after("first", "c3")
	default:
		return o.after("third", "c4")
	}
}

func (o oracle) after(before, connector string) learnt {
	b := o.ask(before)
	if b.missing {
		return learnt{missing: true, stale: b.stale}
	}
	switch _, state := b.reply.fact("s"); state {
	case pim.Unknown:
		return learnt{reply: reply{fault: true}, stale: b.stale}
	case pim.None:
		return learnt{reply: reply{absent: true}, stale: b.stale}
	default:
		return o.answered(connector, b.stale)
	}
}

func (o oracle) answered(connector string, stale bool) learnt {
	r, ok := o.world[connector]
	if !ok {
		return learnt{missing: true, stale: stale}
	}
	return learnt{reply: r, stale: stale || r.stale}
}

func (r reply) fact(name string) (any, pim.State) {
	switch {
	case r.fault:
		return nil, pim.Unknown
	case name == "found":
		return !r.absent, pim.Known
	case r.absent:
		return nil, pim.None
	}
	f, ok := r.facts[name]
	if !ok {
		return nil, pim.Unknown
	}
	return f.Value, f.State
}

func (o oracle) select1(ask, fact string) (any, truth) {
	l := o.ask(ask)
	if l.missing {
		return nil, isUnknown
	}
	value, state := l.reply.fact(fact)
	switch state {
	case pim.Known:
		return value, isTrue
	case pim.None:
		return nil, isError
	default:
		return nil, isUnknown
	}
}

func of(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

func (o oracle) eval(n *node) truth {
	switch n.op {
	case "lit":
		return of(n.value)
	case "fact":
		v, t := o.select1(n.ask, n.fact)
		if t != isTrue {
			return t
		}
		return of(v.(bool))
	case "has":
		_, t := o.select1(n.ask, n.fact)
		return map[truth]truth{isTrue: isTrue, isError: isFalse, isUnknown: isUnknown}[t]
	case "less":
		v, t := o.select1(n.ask, "n")
		if t != isTrue {
			return t
		}
		return of(v.(int64) < n.limit)
	case "lessFact":
		v, t := o.select1(n.ask, "n")
		w, u := o.select1(n.otherAsk, "n")
		switch {
		case t == isError || u == isError:
			return isError
		case t == isUnknown || u == isUnknown:
			return isUnknown
		}
		return of(v.(int64) < w.(int64))
	case "longer":
		if o.c.activation.Duration == 0 {
			return isError
		}
		return of(o.c.activation.Duration.Hours() > float64(n.limit))
	case "ticketed":
		return of(o.c.activation.Ticket.Number != "")
	}
	return o.combine(n)
}

func (o oracle) combine(n *node) truth {
	first := o.eval(n.args[0])
	switch n.op {
	case "not":
		return map[truth]truth{isTrue: isFalse, isFalse: isTrue, isUnknown: isUnknown, isError: isError}[first]
	case "if":
		switch first {
		case isTrue:
			return o.eval(n.args[1])
		case isFalse:
			return o.eval(n.args[2])
		default:
			return first
		}
	}
	second := o.eval(n.args[1])
	decisive, other := isFalse, isTrue
	if n.op == "or" {
		decisive, other = isTrue, isFalse
	}
	for _, t := range []truth{decisive, isUnknown, isError} {
		if first == t || second == t {
			return t
		}
	}
	return other
}

// named are the asks that an expression names.
func (n *node) named() []string {
	var out []string
	for _, ask := range []string{n.ask, n.otherAsk} {
		if ask != "" {
			out = append(out, ask)
		}
	}
	for _, arg := range n.args {
		out = append(out, arg.named()...)
	}
	return out
}

func (o oracle) stale(n *node) bool {
	return slices.ContainsFunc(n.named(), func(ask string) bool { return o.ask(ask).stale })
}

// applying are the policies of point 1, reduced to the restrictive half where `when` is an error.
func (o oracle) applying() []testPolicy {
	var out []testPolicy
	for _, p := range o.c.policies {
		if !p.covers || !slices.Contains(p.stages, o.c.activation.Stage) {
			continue
		}
		when := isTrue
		if p.when != nil {
			when = o.eval(p.when)
		}
		switch when {
		case isTrue:
			out = append(out, p)
		case isError:
			half := p
			half.rules = slices.DeleteFunc(slices.Clone(p.rules), func(r testRule) bool { return r.kind == pim.AutoApprove })
			if half.otherwise == "approve" {
				half.otherwise = "abstain"
			}
			out = append(out, half)
		default:
		}
	}
	return out
}

// decide returns what is returned and what is recommended.
func (o oracle) decide() (returned, recommended pim.Outcome) {
	if o.c.activation.Action == pim.SelfDeactivate {
		return pim.Approved, pim.Approved // point 7
	}
	if o.c.activation.Action == pim.UnknownAction {
		return o.c.fallback, o.c.fallback
	}
	all := o.applying()
	enforced := slices.DeleteFunc(slices.Clone(all), func(p testPolicy) bool { return p.shadow })
	returned = o.outcome(enforced)
	if len(enforced) == 0 && len(all) > 0 {
		returned = pim.Approved // point 6
	}
	return returned, o.outcome(all)
}

// outcome is points 3 and 4.
func (o oracle) outcome(policies []testPolicy) pim.Outcome {
	for _, p := range policies {
		for _, r := range p.rules {
			t := o.eval(r.expr)
			if r.kind == pim.Require && (t == isFalse || t == isError || t == isUnknown && !r.tolerant) {
				return pim.Denied
			}
		}
	}
	grant, deny, abstain := false, false, true
	for _, p := range policies {
		granted := slices.ContainsFunc(p.rules, func(r testRule) bool { return r.kind == pim.AutoApprove && o.eval(r.expr) == isTrue })
		grant = grant || granted
		deny = deny || !granted && p.otherwise == "deny"
		abstain = abstain && !granted && p.otherwise == "abstain"
	}
	switch {
	case deny:
		return pim.Denied
	case abstain:
		return o.c.fallback
	case grant && o.c.activation.Stage == pim.PreApproval && o.certain(policies):
		return pim.AutoApproved
	}
	return pim.Approved
}

func (o oracle) certain(policies []testPolicy) bool {
	for _, p := range policies {
		for _, r := range p.rules {
			t := o.eval(r.expr)
			involved := r.kind != pim.AutoApprove || t == isTrue
			if r.kind == pim.Require && t != isTrue || r.kind == pim.Hold && t != isFalse || involved && o.stale(r.expr) {
				return false
			}
		}
	}
	return true
}
