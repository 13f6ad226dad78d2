package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

// production is the policy of the documentation.
const production = `
policies:
  - name: production-subscriptions
    mode: enforce
    stages: [pre_approval]
    applies_to:
      azure_resources: {roles: [Owner, Contributor], scopes: ["/subscriptions/6F1C0000-0000-0000-0000-000000000001/**"]}
    when: activation.duration > duration("1h")
    human_approval: true
    ask:
      person: {connector: directory, capability: principal,  args: {id: activation.principal_id}}
      ticket: {connector: itsm,      capability: ticket,     args: {number: activation.ticket.number}, max_age: 0s}
      worker: {connector: hr,        capability: employment, args: {employee_number: person.employee_number}, max_age: 15m}
      oncall: {connector: rota,      capability: oncall,     args: {email: person.mail, service: "'PAYMENTS'"}}
    rules:
      - name: employed
        require: worker.state == "active"
        when_unknown: deny
        reason: Your account is not cleared for this role. Contact your manager.
      - name: change-is-open
        require: ticket.kind == "change" && ticket.approval == "approved" && ticket.window_start <= now && activation.ends_at <= ticket.window_end
        when_unknown: approve
        reason: "{ticket.number} does not cover this activation. Ask for a time inside its window."
      - name: on-call
        auto_approve: oncall.on_call && oncall.level <= 1 && ticket.priority <= 2
        reason: On call for PAYMENTS with an open P{ticket.priority}.
      - name: long-activations-need-a-person
        hold: activation.duration > duration("4h")
    otherwise: approve
default: deny
`

func allWell() upstreams {
	return upstreams{
		"directory": answer(map[string]pim.Fact{"mail": known("a@example.com"), "employee_number": known("E1"), "enabled": known(true)}),
		"itsm": answer(map[string]pim.Fact{
			"number": known("CHG1"), "kind": known("change"), "approval": known("approved"), "priority": known(int64(1)),
			"window_start": known(arrival().Add(-time.Hour)), "window_end": known(arrival().Add(3 * time.Hour)),
		}),
		"hr":   answer(map[string]pim.Fact{"state": known("active")}),
		"rota": answer(map[string]pim.Fact{"on_call": known(true), "level": known(int64(1))}),
	}
}

func TestProductionPolicy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(u upstreams, a *pim.Activation)
		want   pim.Outcome
		why    []string
	}{
		"everything well": {func(upstreams, *pim.Activation) {}, pim.AutoApproved, []string{"On call for PAYMENTS with an open P1."}},
		"not on call": {func(u upstreams, _ *pim.Activation) {
			u["rota"] = answer(map[string]pim.Fact{"on_call": known(false), "level": known(int64(1))})
		}, pim.Approved, nil},
		"terminated": {func(u upstreams, _ *pim.Activation) {
			u["hr"] = answer(map[string]pim.Fact{"state": known("terminated")})
		}, pim.Denied, []string{"Your account is not cleared for this role. Contact your manager."}},
		"hr down": {
			func(u upstreams, _ *pim.Activation) { u["hr"] = timedOut() }, pim.Denied,
			[]string{"employed could not be checked: hr did not answer in time. Try again shortly."},
		},
		"directory down takes hr and rota with it": {
			func(u upstreams, _ *pim.Activation) { u["directory"] = timedOut() }, pim.Denied,
			[]string{"employed could not be checked: directory did not answer in time. Try again shortly."},
		},
		"itsm down": {
			func(u upstreams, _ *pim.Activation) { u["itsm"] = timedOut() }, pim.Approved,
			[]string{"change-is-open could not be checked: itsm did not answer in time."},
		},
		"no ticket": {
			func(_ upstreams, a *pim.Activation) { a.Ticket = pim.Ticket{} }, pim.Denied,
			[]string{"none does not cover this activation. Ask for a time inside its window."},
		},
		"no end": {func(_ upstreams, a *pim.Activation) { a.Duration = 0 }, pim.Denied, []string{
			"CHG1 does not cover this activation. Ask for a time inside its window.",
		}},
		"too long": {func(_ upstreams, a *pim.Activation) { a.Duration = 3*time.Hour + time.Second }, pim.Denied, []string{
			"CHG1 does not cover this activation. Ask for a time inside its window.",
		}},
		"short, so that no policy applies": {
			func(_ upstreams, a *pim.Activation) { a.Duration = time.Hour }, pim.Denied,
			[]string{"No policy allows this activation."},
		},
		"stale": {func(u upstreams, _ *pim.Activation) {
			f := u["rota"]
			f.Stale = true
			u["rota"] = f
		}, pim.Approved, []string{"On call for PAYMENTS with an open P1."}},
		"stale directory, on which the question to rota rests": {func(u upstreams, _ *pim.Activation) {
			f := u["directory"]
			f.Stale = true
			u["directory"] = f
		}, pim.Approved, []string{"On call for PAYMENTS with an open P1."}},
	}
	set := load(t, production)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, a := allWell(), ownerActivation()
			test.change(u, &a)
			plan := set.Plan(a, arrival())
			found := gather(plan, u)
			if !plan.Settled(found) {
				t.Error("not settled although everything was answered")
			}
			d := plan.Decide(found)
			if d.Returned != test.want || d.Recommended != test.want {
				t.Errorf("got %s, recommended %s, want %s\n%+v", d.Returned, d.Recommended, test.want, d.Rules)
			}
			if diff := cmp.Diff(test.why, d.Reasons, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNextAsksAsSoonAsArgumentsAreKnown(t *testing.T) {
	t.Parallel()
	plan := load(t, production).Plan(ownerActivation(), arrival())
	asks, foregone := plan.Next(nil)
	if len(foregone) > 0 || len(asks) != 2 || asks[0].Connector != "directory" || asks[1].Connector != "itsm" {
		t.Fatalf("first: %+v %+v", asks, foregone)
	}
	found := policy.Findings{asks[0].Key(): allWell()["directory"]}
	asks, _ = plan.Next(found)
	var names []string
	for _, ask := range asks {
		names = append(names, ask.Connector)
	}
	if diff := cmp.Diff([]string{"rota", "itsm", "hr"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"email": "a@example.com", "service": "PAYMENTS"}, asks[0].Arguments); diff != "" {
		t.Error(diff)
	}
}
