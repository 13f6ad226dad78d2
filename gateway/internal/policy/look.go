package policy

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/condition"
)

var errTooCostly = errors.New("the conditions of all policies that apply cost too much together")

// view is what a policy sees of the findings.
type view struct {
	vars *condition.Vars
	asks []seen
}

// seen is what a policy sees of one ask.
type seen struct {
	memo    *memo       // nil while its arguments are not known
	finding pim.Finding // if it came from a connector
	stale   bool        // the finding is, or one that the question rests on
	blame   int         // the ask that is to blame if this one has no facts
}

// memo is an ask with its arguments, or what is known of it without asking. It never changes.
type memo struct {
	values   []condition.Result
	ask      pim.Ask
	key      pim.AskKey
	foregone *pim.Finding
}

// memory keeps the last memo of an ask: its key is dear to make, and its arguments seldom change.
type memory struct{ last atomic.Pointer[memo] }

// look reads the findings for one policy. An ask without a finding stays pending.
func (p *Plan) look(a *applying, found Findings) *view {
	v := &view{vars: a.scope.NewVars(p.subject), asks: make([]seen, len(a.asks))}
	for _, i := range a.order {
		s := &v.asks[i]
		s.blame = i
		if !a.fetches[i] {
			continue
		}
		if s.memo = v.prepare(a, i); s.memo != nil {
			v.read(i, s.memo, found)
		}
		s.stale = s.finding.Stale || slices.ContainsFunc(a.asks[i].needs, func(n int) bool { return v.asks[n].stale })
	}
	return v
}

func (v *view) read(i int, m *memo, found Findings) {
	if m.foregone != nil {
		v.vars.Set(i, m.foregone)
		return
	}
	finding, ok := found[m.key]
	if !ok {
		return
	}
	v.asks[i].finding = finding
	v.vars.Set(i, &v.asks[i].finding)
}

// prepare evaluates the arguments of an ask; nil while one is not known yet.
//
// An argument that is unknown for good comes first: then there is no question, whatever the others are.
// Then all have to be there. This order keeps what is known from changing when more is found.
func (v *view) prepare(a *applying, i int) *memo {
	asked := &a.asks[i]
	if last := a.asked[i].last.Load(); last != nil && len(asked.needs) == 0 {
		return last // it rests on the activation alone
	}
	values := make([]condition.Result, len(asked.args))
	pending, none, fault := false, -1, -1
	for n, arg := range asked.args {
		r := arg.expr.Evaluate(v.vars)
		values[n] = r
		switch {
		case r.Pending:
			pending = true
		case r.State == pim.Unknown && fault < 0:
			fault = n
		case r.State == pim.None && none < 0:
			none = n
		}
	}
	switch {
	case fault >= 0:
		v.asks[i].blame = v.toBlame(i, values[fault])
		return a.remember(i, asked.certain(values), func(m *memo) { m.fault(asked.args[fault], values[fault]) })
	case pending:
		return nil
	case none >= 0:
		return a.remember(i, values, func(m *memo) { m.nothing(asked.args[none], values[none]) })
	}
	return a.remember(i, values, func(*memo) {})
}

// certain keeps the arguments that rest on no other ask. The others may still change, and an ask that
// is never put should have one key.
func (a *ask) certain(values []condition.Result) []condition.Result {
	out := make([]condition.Result, len(values))
	for n, arg := range a.args {
		if len(arg.expr.Asks()) == 0 {
			out[n] = values[n]
		}
	}
	return out
}

// toBlame is the ask whose missing facts are the reason that an argument is unknown.
func (v *view) toBlame(ask int, r condition.Result) int {
	if len(r.Lacks) == 0 {
		return ask
	}
	return v.asks[r.Lacks[0]].blame
}

// remember returns the last memo of the ask if the arguments are the same.
func (a *applying) remember(i int, values []condition.Result, complete func(*memo)) *memo {
	last := a.asked[i].last.Load()
	if last != nil && slices.EqualFunc(last.values, values, condition.Result.Same) {
		return last
	}
	asked := &a.asks[i]
	m := &memo{values: values, ask: pim.Ask{
		Connector: asked.connector, Capability: asked.capability.Method, MaxAge: asked.maxAge, Timeout: asked.timeout,
		Arguments: make(map[string]any, len(values)),
	}}
	for n, arg := range asked.args {
		m.ask.Arguments[arg.name] = values[n].Native()
	}
	m.key = m.ask.Key()
	complete(m)
	a.asked[i].last.Store(m)
	return m
}

// fault makes the finding of an ask of which an argument is unknown.
func (m *memo) fault(arg argument, r condition.Result) {
	detail := fmt.Sprintf("the argument %s is unknown", arg.name)
	if r.Err != nil {
		detail = fmt.Sprintf("the argument %s is an error: %v", arg.name, r.Err)
	}
	m.foregone = &pim.Finding{Ask: m.ask, Fault: pim.Unavailable, FaultSource: pim.FromQuestion, Detail: detail}
}

// nothing makes the finding of an ask of which an argument is none.
func (m *memo) nothing(arg argument, r condition.Result) {
	m.foregone = &pim.Finding{Ask: m.ask, Detail: fmt.Sprintf("the argument %s is none: %v", arg.name, r.Err)}
}
