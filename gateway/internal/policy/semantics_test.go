package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

// decide runs policies that share the ask `person` of the directory, whose facts are given.
func decide(t *testing.T, policies string, a pim.Activation, directory *pim.Finding) pim.Decision {
	t.Helper()
	u := upstreams{}
	if directory != nil {
		u["directory"] = *directory
	}
	plan := load(t, policies).Plan(a, arrival())
	return plan.Decide(gather(plan, u))
}

// one is a policy for every role; %s is replaced by whatever else it says.
func one(name string, more ...string) string {
	return "  - name: " + name + "\n    applies_to: {entra_roles: {roles: [\"*\"]}, azure_resources: {roles: [\"*\"]}}\n" +
		"    ask: {person: {connector: directory, capability: principal, args: {id: activation.principal_id}}}\n    " +
		strings.Join(more, "\n    ") + "\n"
}

func set(policies ...string) string { return "policies:\n" + strings.Join(policies, "") }

func person(enabled pim.Fact) *pim.Finding {
	f := answer(map[string]pim.Fact{"enabled": enabled, "mail": known("a@example.com")})
	return &f
}

func stalePerson() *pim.Finding {
	f := person(known(true))
	f.Stale = true
	return f
}

const (
	requires  = "rules: [{name: enabled, require: person.enabled}]"
	grants    = "rules: [{name: enabled, auto_approve: person.enabled}]"
	holds     = "rules: [{name: enabled, hold: person.enabled}, {name: yes, auto_approve: \"person.found || true\"}]"
	tolerates = "rules: [{name: enabled, require: person.enabled, when_unknown: approve}, {name: yes, auto_approve: \"person.found || true\"}]"
	approves  = "otherwise: approve"
	denies    = "otherwise: deny"
	abstains  = "otherwise: abstain"
	human     = "human_approval: true"
	shadow    = "mode: shadow"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	yes, no := person(known(true)), person(known(false))
	none, hidden, fault := person(pim.Fact{State: pim.None}), person(pim.Fact{State: pim.Unknown}), timedOut()
	endless := ownerActivation()
	endless.Duration = 0
	post := ownerActivation()
	post.Stage = pim.PostApproval
	const broken = `when: activation.duration > duration("1h")`
	tests := map[string]struct {
		policies    string
		activation  pim.Activation
		person      *pim.Finding
		returned    pim.Outcome
		recommended pim.Outcome
	}{
		"1: where when is an error the requires count":             {set(one("p", broken, requires, approves), one("q", "ask: {}", approves)), endless, no, pim.Denied, ""},
		"1: where when is an error otherwise: approve does not":    {set(one("p", broken, requires, approves)), endless, yes, pim.Denied, ""},
		"1: where when is an error otherwise: deny counts":         {set(one("p", broken, requires, denies), one("q", requires, approves)), endless, yes, pim.Denied, ""},
		"1: where when is an error auto_approve does not count":    {set(one("p", broken, grants, abstains), one("q", requires, approves)), endless, yes, pim.Approved, ""},
		"1: where when is an error the holds count":                {set(one("p", broken, "rules: [{name: h, hold: person.enabled}]", abstains), one("q", grants, abstains)), endless, yes, pim.Approved, ""},
		"1: where when is false nothing counts":                    {set(one("p", "when: activation.validation_only", requires, denies), one("q", requires, approves)), ownerActivation(), yes, pim.Approved, ""},
		"2: a fact that is none fails a require":                   {set(one("p", requires, approves)), ownerActivation(), none, pim.Denied, ""},
		"2: a fact that is none grants nothing":                    {set(one("p", grants, approves)), ownerActivation(), none, pim.Approved, ""},
		"2: a fact that is none holds":                             {set(one("p", holds, approves)), ownerActivation(), none, pim.Approved, ""},
		"2: a fact that is none may be guarded":                    {set(one("p", `rules: [{name: g, require: "!has(person.enabled) || person.enabled"}]`, approves)), ownerActivation(), none, pim.Approved, ""},
		"3: a require that is false denies":                        {set(one("p", requires, approves)), ownerActivation(), no, pim.Denied, ""},
		"3: a require that is unknown denies":                      {set(one("p", requires, approves)), ownerActivation(), hidden, pim.Denied, ""},
		"3: a require that faults denies":                          {set(one("p", requires, approves)), ownerActivation(), &fault, pim.Denied, ""},
		"3: a require that is never answered denies":               {set(one("p", requires, approves)), ownerActivation(), nil, pim.Denied, ""},
		"3: a grant beats otherwise: deny":                         {set(one("p", grants, denies)), ownerActivation(), yes, pim.AutoApproved, ""},
		"3: otherwise: deny of another policy beats a grant":       {set(one("p", grants, approves), one("q", `rules: [{name: no, auto_approve: "!person.enabled"}]`, denies)), ownerActivation(), yes, pim.Denied, ""},
		"3: all abstain, so that the default denies":               {set(one("p", requires, abstains)), ownerActivation(), yes, pim.Denied, ""},
		"3: all abstain, so that the default approves":             {"default: approve\n" + set(one("p", requires, abstains)), ownerActivation(), yes, pim.Approved, ""},
		"3: one does not abstain":                                  {set(one("p", requires, abstains), one("q", requires, approves)), ownerActivation(), yes, pim.Approved, ""},
		"3: no policy applies":                                     {"default: deny", ownerActivation(), yes, pim.Denied, ""},
		"3: a policy without rules":                                {"policies: [{name: p, applies_to: {azure_resources: {roles: [Owner]}}, otherwise: approve}]", ownerActivation(), nil, pim.Approved, ""},
		"4: granted":                                               {set(one("p", grants, approves), one("q", requires, abstains)), ownerActivation(), yes, pim.AutoApproved, ""},
		"4: not after human approval":                              {set(one("p", grants, approves)), post, yes, pim.Approved, ""},
		"4: not with a hold":                                       {set(one("p", holds, approves)), ownerActivation(), yes, pim.Approved, ""},
		"4: with a hold that is false":                             {set(one("p", holds, approves)), ownerActivation(), no, pim.AutoApproved, ""},
		"4: not with a hold that is unknown":                       {set(one("p", holds, approves)), ownerActivation(), &fault, pim.Approved, ""},
		"4: not with a hold of another policy":                     {set(one("p", grants, approves), one("q", "rules: [{name: h, hold: person.enabled}]", abstains)), ownerActivation(), yes, pim.Approved, ""},
		"4: not with a require that is unknown":                    {set(one("p", human, tolerates, approves)), ownerActivation(), &fault, pim.Approved, ""},
		"4: with a require that is known":                          {set(one("p", human, tolerates, approves)), ownerActivation(), yes, pim.AutoApproved, ""},
		"4: not with a stale grant":                                {set(one("p", grants, approves)), ownerActivation(), stalePerson(), pim.Approved, ""},
		"4: not with a stale require":                              {set(one("p", requires, approves), one("q", "rules: [{name: g, auto_approve: 'person.found || true'}]", approves)), ownerActivation(), stalePerson(), pim.Approved, ""},
		"4: not with a stale hold":                                 {set(one("p", "rules: [{name: h, hold: '!person.enabled'}, {name: g, auto_approve: 'true'}]", approves)), ownerActivation(), stalePerson(), pim.Approved, ""},
		"4: a stale auto_approve that does not grant is no matter": {set(one("p", "rules: [{name: n, auto_approve: '!person.enabled'}, {name: g, auto_approve: 'true'}]", approves)), ownerActivation(), stalePerson(), pim.AutoApproved, ""},
		"5: unknown with when_unknown: approve does not deny":      {set(one("p", human, tolerates, approves)), ownerActivation(), nil, pim.Approved, ""},
		"6: a shadow policy does not deny":                         {set(one("p", requires, approves), one("q", shadow, "rules: [{name: n, require: '!person.enabled'}]", approves)), ownerActivation(), yes, pim.Approved, pim.Denied},
		"6: a shadow policy does not grant":                        {set(one("p", requires, approves), one("q", shadow, grants, approves)), ownerActivation(), yes, pim.Approved, pim.AutoApproved},
		"6: only shadow policies":                                  {set(one("q", shadow, requires, approves)), ownerActivation(), no, pim.Approved, pim.Denied},
		"6: only shadow policies that all abstain":                 {set(one("q", shadow, requires, abstains)), ownerActivation(), yes, pim.Approved, pim.Denied},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policies := strings.ReplaceAll(test.policies, "    ask: {person: {connector: directory, capability: principal, args: {id: activation.principal_id}}}\n    ask: {}", "    ask: {}")
			d := decide(t, policies, test.activation, test.person)
			want := test.recommended
			if want == "" {
				want = test.returned
			}
			if d.Returned != test.returned || d.Recommended != want {
				t.Errorf("got %s (recommended %s), want %s (%s)\n%+v", d.Returned, d.Recommended, test.returned, want, d.Rules)
			}
			if d.Returned == pim.Denied && len(d.Reasons) == 0 {
				t.Error("a denial without a reason")
			}
		})
	}
}

func TestGivingUpAccessIsApprovedWithoutAsking(t *testing.T) {
	t.Parallel()
	for _, action := range []pim.Action{pim.SelfDeactivate, pim.AdminRemove} {
		a := ownerActivation()
		a.Action = action
		plan := load(t, set(one("p", requires, denies))).Plan(a, arrival())
		asks, foregone := plan.Next(nil)
		d := plan.Decide(nil)
		if len(asks)+len(foregone) > 0 || !plan.Settled(nil) || d.Returned != pim.Approved || d.Recommended != pim.Approved || d.Cause != "gives_up_access" {
			t.Errorf("%s: asks %v, %+v", action, asks, d)
		}
	}
}

func TestUnknownActionsGetTheDefault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pim.Outcome{"default: deny\n": pim.Denied, "default: approve\n": pim.Approved} {
		for _, action := range []pim.Action{pim.UnknownAction, "", "adminTransmogrify"} {
			a := ownerActivation()
			a.Action = action
			plan := load(t, text+set(one("p", requires, approves))).Plan(a, arrival())
			d := plan.Decide(nil)
			if asks, _ := plan.Next(nil); len(asks) > 0 || d.Returned != want || d.Recommended != want || d.Cause != "unknown_action" {
				t.Errorf("%q: %+v", action, d)
			}
			if want == pim.Denied && len(d.Reasons) != 1 {
				t.Errorf("%q: reasons %v", action, d.Reasons)
			}
		}
	}
}

func TestOnlyFactsInUseAreAskedFor(t *testing.T) {
	t.Parallel()
	text := set(
		one("p", requires, approves),
		one("same-ask", grants, approves),
		one("not-now", `when: activation.duration > duration("20h")`, "rules: [{name: r, require: other.found && person.found}]", approves,
			"# its own ask"),
		one("another-stage", "stages: [post_approval]", requires, approves),
	)
	text = strings.Replace(text, "# its own ask", "", 1)
	text = strings.Replace(text, "require: other.found && person.found", "require: person.found", 1)
	asks, _ := load(t, text).Plan(ownerActivation(), arrival()).Next(nil)
	if len(asks) != 1 || asks[0].Connector != "directory" {
		t.Errorf("%+v", asks)
	}
}

func TestAsksThatNeedNoAsking(t *testing.T) {
	t.Parallel()
	const text = `
policies:
  - name: p
    applies_to: {azure_resources: {roles: ["*"]}}
    ask:
      ticket: {connector: itsm, capability: ticket, args: {number: activation.ticket.number}}
      person: {connector: directory, capability: principal, args: {id: activation.principal_id}}
      worker: {connector: hr, capability: employment, args: {employee_number: person.employee_number, email: "'fixed'"}}
      broken: {connector: hr, capability: employment, args: {email: "string(1 / (activation.validation_only ? 1 : 0))"}}
    rules:
      - {name: r, require: ticket.found && worker.found && broken.found}
    otherwise: approve
`
	a := ownerActivation()
	a.Ticket = pim.Ticket{}
	plan := load(t, text).Plan(a, arrival())
	asks, foregone := plan.Next(nil)
	if len(asks) != 1 || asks[0].Connector != "directory" {
		t.Fatalf("%+v", asks)
	}
	found := policy.Findings{asks[0].Key(): answer(map[string]pim.Fact{"mail": known("x")})}
	_, more := plan.Next(found)
	want := []pim.Finding{
		{
			Ask:   pim.Ask{Connector: "hr", Capability: employment().Method, Arguments: map[string]any{"email": nil}},
			Fault: pim.Unavailable, FaultSource: pim.FromQuestion, Detail: "the argument email is an error: division by zero",
		},
		{
			Ask:    pim.Ask{Connector: "itsm", Capability: ticket().Method, Arguments: map[string]any{"number": nil}},
			Detail: "the argument number is none: activation.ticket.number is none",
		},
	}
	if diff := cmp.Diff(want, foregone); diff != "" {
		t.Error(diff)
	}
	want = append(want, pim.Finding{
		Ask:   pim.Ask{Connector: "hr", Capability: employment().Method, Arguments: map[string]any{"employee_number": nil, "email": "fixed"}},
		Fault: pim.Unavailable, FaultSource: pim.FromQuestion, Detail: "the argument employee_number is unknown",
	})
	if diff := cmp.Diff(want, more); diff != "" {
		t.Error(diff)
	}
	for _, f := range more {
		found[f.Ask.Key()] = f
	}
	if asks, foregone := plan.Next(found); len(asks)+len(foregone) > 0 {
		t.Errorf("asked again: %v %v", asks, foregone)
	}
}

// The answer does not wait for what cannot change it.
func TestSettledEarly(t *testing.T) {
	t.Parallel()
	text := set(one("p", "rules: [{name: short, require: 'activation.duration < duration(\"1h\")'}, {name: enabled, require: person.enabled}]", approves))
	if !load(t, text).Plan(ownerActivation(), arrival()).Settled(nil) {
		t.Error("a failed require did not settle the denial")
	}
	for name, policies := range map[string]string{
		"a require":                  set(one("p", requires, approves)),
		"a grant":                    set(one("p", grants, approves)),
		"a hold":                     set(one("p", holds, approves)),
		"a stale fact":               set(one("p", "rules: [{name: g, auto_approve: 'true || person.enabled'}]", approves)),
		"a shadow policy":            set(one("p", "ask: {}", approves), one("q", shadow, requires, approves)),
		"a grant of what is denied":  set(one("p", grants, denies)),
		"a stale require":            set(one("p", "rules: [{name: r, require: 'true || person.enabled'}, {name: g, auto_approve: 'true'}]", approves)),
		"a stale hold that is false": set(one("p", "rules: [{name: r, hold: 'false && person.enabled'}, {name: g, auto_approve: 'true'}]", approves)),
	} {
		policies = strings.ReplaceAll(policies, "    ask: {person: {connector: directory, capability: principal, args: {id: activation.principal_id}}}\n    ask: {}", "    ask: {}")
		if load(t, policies).Plan(ownerActivation(), arrival()).Settled(nil) {
			t.Errorf("settled although %s is missing", name)
		}
	}
	post := ownerActivation()
	post.Stage = pim.PostApproval
	if !load(t, set(one("p", grants, approves))).Plan(post, arrival()).Settled(nil) {
		t.Error("after human approval a grant changes nothing, and was waited for")
	}
}

func TestPlanIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	plan := load(t, production).Plan(ownerActivation(), arrival())
	want := plan.Decide(gather(plan, allWell()))
	results := make(chan pim.Decision)
	for range 4 {
		go func() {
			for range 20 {
				results <- plan.Decide(gather(plan, allWell()))
			}
		}()
	}
	for range 80 {
		if diff := cmp.Diff(want, <-results); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDecisionNamesWhatItRestsOn(t *testing.T) {
	t.Parallel()
	u := allWell()
	u["rota"] = timedOut()
	plan := load(t, production).Plan(ownerActivation(), arrival())
	d := plan.Decide(gather(plan, u))
	want := []pim.RuleResult{
		{Policy: "production-subscriptions", Mode: pim.Enforce, Rule: "employed", Kind: pim.Require, Truth: pim.True, Used: []string{"worker.state"}},
		{
			Policy: "production-subscriptions", Mode: pim.Enforce, Rule: "change-is-open", Kind: pim.Require, Truth: pim.True,
			Used: []string{"ticket.kind", "ticket.approval", "ticket.window_start", "ticket.window_end"},
		},
		{
			Policy: "production-subscriptions", Mode: pim.Enforce, Rule: "on-call", Kind: pim.AutoApprove, Truth: pim.Unsure,
			Used: []string{"oncall.on_call", "oncall.level", "ticket.priority"}, Missing: []string{"oncall: rota did not answer in time"},
		},
		{Policy: "production-subscriptions", Mode: pim.Enforce, Rule: "long-activations-need-a-person", Kind: pim.Hold, Truth: pim.False},
	}
	if diff := cmp.Diff(want, d.Rules); diff != "" {
		t.Error(diff)
	}
	if d.PolicyRevision == "" || d.Policies[0] != "production-subscriptions" || d.Returned != pim.Approved {
		t.Errorf("%+v", d)
	}
}

func TestTooManyExpensiveRulesAreErrors(t *testing.T) {
	t.Parallel()
	// Each rule may cost 155 000 steps, so that some thirty fit into one evaluation.
	rule := `{name: r%, hold: 'person.mail.matches("^(a|b)+$") && ["a","b"].exists(x, person.mail.split("").exists(y, person.mail.contains(x + y)))'}`
	var rules []string
	for i := range 400 {
		rules = append(rules, strings.Replace(rule, "%", time.Duration(i).String(), 1))
	}
	d := decide(t, set(one("p", "rules:\n      - "+strings.Join(rules, "\n      - ")+"\n      - {name: g, auto_approve: 'true'}", approves)), ownerActivation(), person(known(true)))
	last := d.Rules[399]
	if d.Rules[0].Truth != pim.False || last.Truth != pim.Failed || last.Error == "" || d.Returned != pim.Approved {
		t.Errorf("first %+v, last %+v, returned %s", d.Rules[0], last, d.Returned)
	}
}

func TestOnlyShadowIsARehearsal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"default: deny": false, set(one("p", requires, approves)): false, set(one("p", shadow, requires, approves)): true,
		set(one("p", shadow, requires, approves), one("q", requires, approves)): false,
	} {
		s := load(t, text)
		if got := s.Plan(ownerActivation(), arrival()).OnlyShadow(); got != want {
			t.Errorf("%d policies: %v, want %v", s.Len(), got, want)
		}
	}
}
