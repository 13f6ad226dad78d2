package evaluation

import (
	"cmp"
	"slices"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// guard is the invariant checked outside the policy code: AutoApproved skips every human, so it stands
// only on complete and current knowledge. Whatever else arrives here as AutoApproved goes on with
// PIM's normal workflow instead.
func guard(a pim.Activation, d pim.Decision) pim.Decision {
	if d.Returned != pim.AutoApproved || mayAutoApprove(a, d) {
		return d
	}
	d.Returned = pim.Approved
	d.Cause = "guard"
	return d
}

func mayAutoApprove(a pim.Activation, d pim.Decision) bool {
	granted := false
	for _, r := range d.Rules {
		if r.Mode != pim.Enforce {
			continue
		}
		if needsPerson(r) {
			return false
		}
		granted = granted || r.Kind == pim.AutoApprove && r.Truth == pim.True && !r.Stale
	}
	return granted && a.Stage == pim.PreApproval
}

// needsPerson reports whether a rule alone keeps an activation from skipping a person.
func needsPerson(r pim.RuleResult) bool {
	switch r.Kind {
	case pim.Require:
		return r.Truth != pim.True || r.Stale
	case pim.Hold:
		return r.Truth != pim.False || r.Stale
	case pim.AutoApprove:
		return false
	default:
		return true
	}
}

// inOrder lists the findings by connector, capability and arguments, so that the same evaluation is
// written the same way every time.
func inOrder(found map[pim.AskKey]pim.Finding) []pim.Finding {
	list := make([]pim.Finding, 0, len(found))
	for _, f := range found {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b pim.Finding) int { return cmp.Compare(a.Ask.Key(), b.Ask.Key()) })
	return list
}
