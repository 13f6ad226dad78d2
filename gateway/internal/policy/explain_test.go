package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// The golden is what `policy explain` has to tell: hr is down, and the others answer.
func TestExplain(t *testing.T) {
	t.Parallel()
	text := strings.TrimSuffix(production, "default: deny\n") + `
  - name: another-role
    applies_to: {azure_resources: {roles: [Reader]}}
    otherwise: deny
  - name: another-stage
    stages: [post_approval]
    applies_to: {azure_resources: {roles: ["*"]}}
    otherwise: deny
  - name: another-duration
    applies_to: {azure_resources: {roles: ["*"]}}
    when: activation.duration > duration("8h")
    otherwise: deny
  - name: unclear
    mode: shadow
    applies_to: {azure_resources: {roles: ["*"]}}
    when: activation.group_id == "x"
    ask:
      person: {connector: directory, capability: principal, args: {id: activation.principal_id}}
    rules:
      - {name: token, require: person.risk_token == "s3cret"}
      - {name: never, auto_approve: "true"}
    otherwise: approve
`
	u := allWell()
	u["hr"] = timedOut()
	u["directory"].Facts["risk_token"] = known("s3cret")
	plan := load(t, text).Plan(ownerActivation(), arrival())
	x := plan.Explain(gather(plan, u))
	x.Decision.PolicyRevision = ""
	got, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/explain.json", string(got)+"\n")
}

func TestExplainTellsWhyNoPolicyIsAsked(t *testing.T) {
	t.Parallel()
	for action, want := range map[pim.Action]string{
		pim.SelfDeactivate: "giving up access is approved without policies",
		pim.UnknownAction:  "the action is not known, so that the default decides",
	} {
		a := ownerActivation()
		a.Action = action
		x := load(t, production).Plan(a, arrival()).Explain(nil)
		if len(x.Policies) != 1 || x.Policies[0].Applies || x.Policies[0].Why != want {
			t.Errorf("%+v", x.Policies)
		}
	}
}
