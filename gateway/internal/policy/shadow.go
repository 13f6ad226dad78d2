package policy

import "slices"

// OnlyShadow reports whether policies apply and none of them is enforced: a rehearsal, in which
// nothing that goes wrong may keep anybody from anything.
func (p *Plan) OnlyShadow() bool {
	return len(p.policies) > 0 && !slices.ContainsFunc(p.policies, enforced)
}

// Len is the number of policies.
func (s *Set) Len() int { return len(s.policies) }
