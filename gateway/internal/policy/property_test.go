package policy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

// testCase is a random set of policies and an activation.
type testCase struct {
	policies   []testPolicy
	fallback   pim.Outcome
	activation pim.Activation
}

type testPolicy struct {
	name      string
	shadow    bool
	covers    bool
	stages    []pim.Stage
	when      *node
	rules     []testRule
	otherwise string
}

type testRule struct {
	name     string
	kind     pim.RuleKind
	expr     *node
	tolerant bool
}

func testConnectors() []policy.Connector {
	capability := pim.Capability{
		Method: "test.v1.Service/Get", Word: "thing",
		Arguments: []pim.Field{required(field("id", pim.String, pim.Public))},
		Facts: []pim.Field{
			field("p", pim.Bool, pim.Public), field("q", pim.Bool, pim.Public),
			field("n", pim.Int, pim.Public), field("s", pim.String, pim.Public),
		},
	}
	var out []policy.Connector
	for _, name := range []string{"c1", "c2", "c3", "c4"} {
		out = append(out, policy.Connector{Name: name, Capabilities: []pim.Capability{capability}})
	}
	return out
}

// extent bounds a case.
type extent struct{ policies, rules, depth int }

func drawCase(t *rapid.T, x extent) testCase {
	c := testCase{
		fallback: rapid.SampledFrom([]pim.Outcome{pim.Denied, pim.Approved}).Draw(t, "default"),
		activation: pim.Activation{
			Provider: pim.EntraRole, RoleID: globalAdmin, Scope: "/", PrincipalID: "person", StartsAt: arrival(),
			Stage:    rapid.SampledFrom([]pim.Stage{pim.PreApproval, pim.PreApproval, pim.PostApproval}).Draw(t, "stage"),
			Action:   rapid.SampledFrom(append(slices.Repeat([]pim.Action{pim.SelfActivate}, 12), pim.SelfDeactivate, pim.UnknownAction)).Draw(t, "action"),
			Duration: rapid.SampledFrom([]time.Duration{0, time.Hour, 3 * time.Hour}).Draw(t, "duration"),
			Ticket:   pim.Ticket{Number: rapid.SampledFrom([]string{"", "T1"}).Draw(t, "ticket")},
		},
	}
	for i := range rapid.IntRange(0, x.policies).Draw(t, "policies") {
		c.policies = append(c.policies, drawPolicy(t, x, fmt.Sprintf("p%d", i)))
	}
	return c
}

func drawPolicy(t *rapid.T, x extent, name string) testPolicy {
	both := []pim.Stage{pim.PreApproval, pim.PostApproval}
	p := testPolicy{
		name:      name,
		shadow:    rapid.SampledFrom([]bool{false, false, true}).Draw(t, "shadow"),
		covers:    rapid.SampledFrom([]bool{true, true, true, false}).Draw(t, "covers"),
		stages:    rapid.SampledFrom([][]pim.Stage{both, both, both[:1], both[1:]}).Draw(t, "stages"),
		otherwise: rapid.SampledFrom([]string{"approve", "approve", "deny", "abstain"}).Draw(t, "otherwise"),
		when: rapid.SampledFrom([]*node{
			nil, nil, nil, {op: "longer", limit: 2}, {op: "ticketed"}, {op: "lit", value: true},
		}).Draw(t, "when"),
	}
	kinds := []pim.RuleKind{pim.Require, pim.Require, pim.Hold}
	if slices.Contains(p.stages, pim.PreApproval) {
		kinds = append(kinds, pim.AutoApprove, pim.AutoApprove)
	}
	for i := range rapid.IntRange(0, x.rules).Draw(t, "rules") {
		r := testRule{name: fmt.Sprintf("r%d", i), kind: rapid.SampledFrom(kinds).Draw(t, "kind"), expr: drawNode(t, x.depth)}
		r.tolerant = r.kind == pim.Require && rapid.Bool().Draw(t, "tolerant")
		p.rules = append(p.rules, r)
	}
	return p
}

func drawNode(t *rapid.T, depth int) *node {
	asks := []string{"first", "second", "third", "fourth"}
	ops := []string{"fact", "fact", "fact", "has", "less", "lessFact", "longer", "ticketed", "lit"}
	if depth > 0 {
		ops = append(ops, "and", "and", "or", "or", "not", "if")
	}
	n := &node{op: rapid.SampledFrom(ops).Draw(t, "op")}
	switch n.op {
	case "lit":
		n.value = rapid.Bool().Draw(t, "value")
	case "longer":
		n.limit = 2
	case "fact":
		n.ask = rapid.SampledFrom(asks).Draw(t, "ask")
		n.fact = rapid.SampledFrom([]string{"p", "p", "q", "found"}).Draw(t, "fact")
	case "has":
		n.ask = rapid.SampledFrom(asks).Draw(t, "ask")
		n.fact = rapid.SampledFrom([]string{"p", "q", "n", "s"}).Draw(t, "fact")
	case "less", "lessFact":
		n.ask = rapid.SampledFrom(asks).Draw(t, "ask")
		n.limit = rapid.Int64Range(0, 3).Draw(t, "limit")
		if n.op == "lessFact" {
			n.otherAsk = rapid.SampledFrom(asks).Draw(t, "other")
		}
	}
	for range map[string]int{"not": 1, "and": 2, "or": 2, "if": 3}[n.op] {
		n.args = append(n.args, drawNode(t, depth-1))
	}
	return n
}

func drawReply(t *rapid.T) reply {
	r := reply{facts: map[string]pim.Fact{}}
	switch rapid.IntRange(0, 9).Draw(t, "reply") {
	case 0:
		r.fault = true
		return r
	case 1:
		r.absent = true
	}
	r.stale = rapid.SampledFrom([]bool{false, false, false, false, false, true}).Draw(t, "stale")
	values := map[string][]any{"p": {true, true, false}, "q": {true, false}, "n": {int64(0), int64(1), int64(2)}, "s": {"x"}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch rapid.IntRange(0, 7).Draw(t, name) {
		case 0: // unknown
		case 1:
			r.facts[name] = pim.Fact{State: pim.None}
		default:
			r.facts[name] = known(rapid.SampledFrom(values[name]).Draw(t, "value"))
		}
	}
	return r
}

// drawWorld adds replies to what is there; some connectors stay silent.
func drawWorld(t *rapid.T, there world, silent []bool) world {
	w := maps.Clone(there)
	for _, name := range []string{"c1", "c2", "c3", "c4"} {
		if _, ok := w[name]; !ok && !rapid.SampledFrom(silent).Draw(t, name+" is silent") {
			w[name] = drawReply(t)
		}
	}
	return w
}

func (w world) upstreams() upstreams {
	u := upstreams{}
	for name, r := range w {
		f := pim.Finding{Found: !r.absent, Facts: r.facts, Stale: r.stale, ObservedAt: arrival()}
		if r.fault {
			f = timedOut()
		}
		u[name] = f
	}
	return u
}

func (n *node) cel() string {
	arg := func(i int) string { return n.args[i].cel() }
	switch n.op {
	case "lit":
		return fmt.Sprint(n.value)
	case "fact":
		return n.ask + "." + n.fact
	case "has":
		return "has(" + n.ask + "." + n.fact + ")"
	case "less":
		return fmt.Sprintf("%s.n < %d", n.ask, n.limit)
	case "lessFact":
		return n.ask + ".n < " + n.otherAsk + ".n"
	case "longer":
		return fmt.Sprintf(`activation.duration > duration("%dh")`, n.limit)
	case "ticketed":
		return "has(activation.ticket.number)"
	case "not":
		return "!(" + arg(0) + ")"
	case "and":
		return "(" + arg(0) + ") && (" + arg(1) + ")"
	case "or":
		return "(" + arg(0) + ") || (" + arg(1) + ")"
	}
	return "(" + arg(0) + ") ? (" + arg(1) + ") : (" + arg(2) + ")"
}

func (c testCase) yaml() string {
	var b strings.Builder
	fallback := map[pim.Outcome]string{pim.Denied: "deny", pim.Approved: "approve"}[c.fallback]
	fmt.Fprintf(&b, "default: %s\n", fallback)
	if len(c.policies) > 0 {
		b.WriteString("policies:\n")
	}
	for _, p := range c.policies {
		role, mode := "Global Administrator", "enforce"
		if !p.covers {
			role = "Global Reader"
		}
		if p.shadow {
			mode = "shadow"
		}
		fmt.Fprintf(&b, "  - name: %s\n    mode: %s\n    stages: [", p.name, mode)
		for i, s := range p.stages {
			b.WriteString(strings.Repeat(", ", min(i, 1)) + string(s))
		}
		fmt.Fprintf(&b, "]\n    applies_to: {entra_roles: {roles: [%s]}}\n    human_approval: true\n    otherwise: %s\n", role, p.otherwise)
		if p.when != nil {
			fmt.Fprintf(&b, "    when: '%s'\n", p.when.cel())
		}
		p.write(&b)
	}
	return b.String()
}

func (p testPolicy) write(b *strings.Builder) {
	used := map[string]bool{}
	for _, r := range p.rules {
		for _, ask := range r.expr.named() {
			used[ask] = true
		}
	}
	used["third"] = used["third"] || used["fourth"]
	used["first"] = used["first"] || used["third"]
	if slices.Contains(slices.Collect(maps.Values(used)), true) {
		b.WriteString("    ask:\n")
	}
	for i, a := range [][2]string{{"first", "activation.principal_id"}, {"second", "activation.ticket.number"}, {"third", "first.s"}, {"fourth", "third.s"}} {
		if used[a[0]] {
			fmt.Fprintf(b, "      %s: {connector: c%d, capability: thing, args: {id: %s}}\n", a[0], i+1, a[1])
		}
	}
	if len(p.rules) > 0 {
		b.WriteString("    rules:\n")
	}
	for _, r := range p.rules {
		fmt.Fprintf(b, "      - name: %s\n        %s: '%s'\n", r.name, r.kind, r.expr.cel())
		if r.tolerant {
			b.WriteString("        when_unknown: approve\n")
		}
	}
}

func (c testCase) plan(t *rapid.T) *policy.Plan {
	set, problems := policy.Load([]policy.Source{{File: "p.yaml", Data: []byte(c.yaml())}}, testConnectors(), policy.Options{})
	if len(problems) > 0 {
		t.Fatalf("load: %v\n%s", problems, c.yaml())
	}
	return set.Plan(c.activation, arrival())
}

var sometimes = []bool{false, false, true}

func TestDecideAgreesWithABruteForceReading(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t, extent{4, 4, 3})
		w := drawWorld(t, world{}, sometimes)
		plan := c.plan(t)
		d := plan.Decide(gather(plan, w.upstreams()))
		o := oracle{c: c, world: w}
		returned, recommended := o.decide()
		if d.Returned != returned || d.Recommended != recommended {
			t.Fatalf("got %s (recommended %s), want %s (%s)\n%s\n%+v\nworld %+v", d.Returned, d.Recommended, returned, recommended, c.yaml(), d, w)
		}
		checkRules(t, o, d)
		checkReasons(t, d)
	})
}

func checkRules(t *rapid.T, o oracle, d pim.Decision) {
	if o.c.activation.Action != pim.SelfActivate {
		return
	}
	i := 0
	for _, p := range o.applying() {
		for _, r := range p.rules {
			got := d.Rules[i]
			i++
			want := map[truth][]pim.Truth{
				isTrue: {pim.True}, isFalse: {pim.False}, isError: {pim.Failed}, isUnknown: {pim.Unsure, pim.Pending},
			}[o.eval(r.expr)]
			if got.Policy != p.name || got.Rule != r.name || !slices.Contains(want, got.Truth) || got.Stale != o.stale(r.expr) {
				t.Fatalf("rule %s of %s: %+v, want %v, stale %v", r.name, p.name, got, want, o.stale(r.expr))
			}
			if (got.Truth == pim.Unsure || got.Truth == pim.Pending) != (len(got.Missing) > 0) {
				t.Fatalf("rule %s of %s: %+v", r.name, p.name, got)
			}
		}
	}
	if i != len(d.Rules) {
		t.Fatalf("%d rules, want %d", len(d.Rules), i)
	}
}

func checkReasons(t *rapid.T, d pim.Decision) {
	most := 3
	if d.Returned == pim.Denied {
		most = 2
		if len(d.Reasons) == 0 {
			t.Fatal("a denial without a reason")
		}
	}
	if len(d.Reasons) > most {
		t.Fatalf("%d reasons", len(d.Reasons))
	}
	for _, r := range d.Reasons {
		if r == "" || len([]rune(r)) > 200 {
			t.Fatalf("reason %q", r)
		}
	}
}

// What is settled stays: whatever the connectors that were silent say later, the outcome is the same.
func TestSettledIsFinal(t *testing.T) {
	t.Parallel()
	settled := 0
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t, extent{4, 4, 3})
		w := drawWorld(t, world{}, []bool{false, true})
		plan := c.plan(t)
		found := gather(plan, w.upstreams())
		if !plan.Settled(found) {
			return
		}
		settled++
		before := plan.Decide(found)
		for range 8 {
			later := drawWorld(t, w, sometimes)
			after := plan.Decide(gather(plan, later.upstreams()))
			if before.Returned != after.Returned || before.Recommended != after.Recommended {
				t.Fatalf("settled on %s (%s), later %s (%s)\n%s\nbefore %+v\nlater %+v",
					before.Returned, before.Recommended, after.Returned, after.Recommended, c.yaml(), w, later)
			}
		}
	})
	if settled == 0 {
		t.Error("nothing was ever settled")
	}
}

// Everything is settled once nothing is missing.
func TestSettledAtTheLatestWhenAllAnswered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t, extent{4, 4, 3})
		plan := c.plan(t)
		found := gather(plan, drawWorld(t, world{}, []bool{false}).upstreams())
		if asks, foregone := plan.Next(found); len(asks)+len(foregone) > 0 || !plan.Settled(found) {
			t.Fatalf("asks %v, foregone %v, settled %v\n%s", asks, foregone, plan.Settled(found), c.yaml())
		}
	})
}

// The invariant that the rest of the gateway checks as well, from the decision alone.
func TestAutoApprovedRestsOnFreshKnowledge(t *testing.T) {
	t.Parallel()
	granted := 0
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t, extent{2, 2, 1})
		c.policies = append(c.policies, testPolicy{
			name: "granting", covers: true, stages: []pim.Stage{pim.PreApproval}, otherwise: "approve",
			rules: []testRule{{name: "g", kind: pim.AutoApprove, expr: &node{op: "fact", ask: "first", fact: "p"}}},
		})
		plan := c.plan(t)
		d := plan.Decide(gather(plan, drawWorld(t, world{}, []bool{false, false, false, false, true}).upstreams()))
		if d.Returned != pim.AutoApproved {
			return
		}
		granted++
		grants := 0
		for _, r := range d.Rules {
			if r.Mode != pim.Enforce || r.Kind == pim.AutoApprove && r.Truth != pim.True {
				continue
			}
			if r.Kind == pim.AutoApprove {
				grants++
			}
			if r.Stale || r.Kind == pim.Require && r.Truth != pim.True || r.Kind == pim.Hold && r.Truth != pim.False {
				t.Fatalf("auto-approved with %+v", r)
			}
		}
		if grants == 0 || c.activation.Stage != pim.PreApproval || c.activation.Action != pim.SelfActivate {
			t.Fatalf("auto-approved without a grant: %+v", d)
		}
	})
	if granted == 0 {
		t.Error("nothing was ever auto-approved")
	}
}
