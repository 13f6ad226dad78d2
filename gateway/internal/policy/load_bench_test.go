package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/gateway/internal/policy"
)

// many are n policies for Owner, each for a subscription of its own; the first is ownerActivation's.
func many(n int) string {
	var b strings.Builder
	b.WriteString("policies:\n")
	for i := range n {
		fmt.Fprintf(&b, `  - name: policy-%d
    applies_to: {azure_resources: {roles: [Owner], scopes: ["/subscriptions/6f1c0000-0000-0000-0000-%012d/**"]}}
    when: activation.duration > duration("1h")
    ask:
      person: {connector: directory, capability: principal, args: {id: activation.principal_id}}
      ticket: {connector: itsm, capability: ticket, args: {number: activation.ticket.number}}
      oncall: {connector: rota, capability: oncall, args: {email: person.mail}}
    rules:
      - {name: enabled, require: person.enabled}
      - {name: change, require: 'ticket.kind == "change" && ticket.approval == "approved"'}
      - {name: window, require: ticket.window_start <= now && activation.ends_at <= ticket.window_end}
      - {name: on-call, auto_approve: oncall.on_call && oncall.level <= 1 && ticket.priority <= 2, reason: "On call with {ticket.number}."}
      - {name: long, hold: activation.duration > duration("4h")}
    otherwise: approve
`, i, i+1)
	}
	return b.String()
}

// loadMany loads n policies in files of 500, since a file has at most 1 MiB.
func loadMany(b *testing.B, n int) *policy.Set {
	b.Helper()
	parts := strings.SplitAfter(strings.TrimPrefix(many(n), "policies:\n"), "otherwise: approve\n")
	var sources []policy.Source
	for part := range slices.Chunk(parts[:n], 500) {
		sources = append(sources, policy.Source{File: "p.yaml", Data: []byte("policies:\n" + strings.Join(part, ""))})
	}
	set, problems := policy.Load(sources, connectors(), policy.Options{})
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	return set
}

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			set, a, now := loadMany(b, n), ownerActivation(), arrival()
			b.ReportAllocs()
			for b.Loop() {
				if set.Plan(a, now) == nil {
					b.Fatal("no plan")
				}
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	plan := load(b, many(10)).Plan(ownerActivation(), arrival())
	found := gather(plan, allWell())
	b.ReportAllocs()
	for b.Loop() {
		if d := plan.Decide(found); len(d.Rules) != 5 {
			b.Fatal(d)
		}
	}
}

func BenchmarkSettled(b *testing.B) {
	plan := load(b, many(10)).Plan(ownerActivation(), arrival())
	found := gather(plan, allWell())
	b.ReportAllocs()
	for b.Loop() {
		if !plan.Settled(found) {
			b.Fatal("not settled")
		}
	}
}

func BenchmarkNext(b *testing.B) {
	plan := load(b, many(10)).Plan(ownerActivation(), arrival())
	b.ReportAllocs()
	for b.Loop() {
		if asks, _ := plan.Next(nil); len(asks) != 2 {
			b.Fatal(asks)
		}
	}
}

func BenchmarkLoad1000(b *testing.B) {
	sources := []policy.Source{{File: "policies.yaml", Data: []byte(many(1000))}}
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := policy.Load(sources, connectors(), policy.Options{}); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
