package evaluation

import (
	"testing"

	"github.com/countersign/countersign/gateway/internal/pim"
)

func TestGuardLetsOnlyCompleteAndCurrentKnowledgeSkipAPerson(t *testing.T) {
	t.Parallel()
	rule := func(kind pim.RuleKind, truth pim.Truth) pim.RuleResult {
		return pim.RuleResult{Mode: pim.Enforce, Kind: kind, Truth: truth}
	}
	grant, require, hold := rule(pim.AutoApprove, pim.True), rule(pim.Require, pim.True), rule(pim.Hold, pim.False)
	stale := func(r pim.RuleResult) pim.RuleResult { r.Stale = true; return r }
	shadow := func(r pim.RuleResult) pim.RuleResult { r.Mode = pim.Shadow; return r }
	for name, c := range map[string]struct {
		stage pim.Stage
		rules []pim.RuleResult
		want  pim.Outcome
	}{
		"complete":              {pim.PreApproval, []pim.RuleResult{grant, require, hold}, pim.AutoApproved},
		"after human approval":  {pim.PostApproval, []pim.RuleResult{grant, require, hold}, pim.Approved},
		"nothing grants":        {pim.PreApproval, []pim.RuleResult{require, hold}, pim.Approved},
		"unknown require":       {pim.PreApproval, []pim.RuleResult{grant, rule(pim.Require, pim.Unsure)}, pim.Approved},
		"pending require":       {pim.PreApproval, []pim.RuleResult{grant, rule(pim.Require, pim.Pending)}, pim.Approved},
		"unknown hold":          {pim.PreApproval, []pim.RuleResult{grant, rule(pim.Hold, pim.Unsure)}, pim.Approved},
		"held":                  {pim.PreApproval, []pim.RuleResult{grant, rule(pim.Hold, pim.True)}, pim.Approved},
		"hold is an error":      {pim.PreApproval, []pim.RuleResult{grant, rule(pim.Hold, pim.Failed)}, pim.Approved},
		"unknown grant":         {pim.PreApproval, []pim.RuleResult{rule(pim.AutoApprove, pim.Unsure), require}, pim.Approved},
		"stale grant":           {pim.PreApproval, []pim.RuleResult{stale(grant), require}, pim.Approved},
		"stale require":         {pim.PreApproval, []pim.RuleResult{grant, stale(require)}, pim.Approved},
		"grant in shadow only":  {pim.PreApproval, []pim.RuleResult{shadow(grant), require}, pim.Approved},
		"shadow does not count": {pim.PreApproval, []pim.RuleResult{grant, shadow(rule(pim.Require, pim.False))}, pim.AutoApproved},
		"kind nobody knows":     {pim.PreApproval, []pim.RuleResult{grant, rule("waive", pim.True)}, pim.Approved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := guard(pim.Activation{Stage: c.stage}, pim.Decision{Returned: pim.AutoApproved, Rules: c.rules})
			if d.Returned != c.want {
				t.Errorf("returned %s, want %s", d.Returned, c.want)
			}
		})
	}
}
