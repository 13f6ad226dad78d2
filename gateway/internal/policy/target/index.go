package target

import (
	"slices"
	"strings"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Selector is one part of a policy's applies_to, in normal form.
type Selector struct {
	Provider pim.Provider
	// IDs are of roles or groups; Every alone is all of them.
	IDs []string
	// Scopes are for roles; none means everywhere.
	Scopes []Scope
	// Access is for groups.
	Access []pim.Access
}

// Index finds the policies that cover an activation.
type Index struct {
	entries map[key]*scopes
}

// key is what activations are looked up by first.
type key struct {
	provider pim.Provider
	id       string
	access   pim.Access
}

// scopes are the policies under one key by their scopes.
type scopes struct {
	everywhere []int
	exact      map[string][]int
	subtree    map[string][]int
}

// NewIndex returns an empty index.
func NewIndex() *Index { return &Index{entries: map[key]*scopes{}} }

// Add enters one selector of the policy with the number.
func (x *Index) Add(policy int, s Selector) {
	access := s.Access
	if s.Provider != pim.Group {
		access = []pim.Access{""}
	}
	for _, id := range s.IDs {
		for _, a := range access {
			x.entry(key{s.Provider, id, a}).add(policy, s.Scopes)
		}
	}
}

func (x *Index) entry(k key) *scopes {
	e, ok := x.entries[k]
	if !ok {
		e = &scopes{exact: map[string][]int{}, subtree: map[string][]int{}}
		x.entries[k] = e
	}
	return e
}

func (e *scopes) add(policy int, patterns []Scope) {
	if len(patterns) == 0 {
		e.everywhere = append(e.everywhere, policy)
	}
	for _, p := range patterns {
		if p.subtree {
			e.subtree[p.path] = append(e.subtree[p.path], policy)
			continue
		}
		e.exact[p.path] = append(e.exact[p.path], policy)
	}
}

// Find returns the numbers of the policies that cover the activation, in order, each once.
func (x *Index) Find(a pim.Activation) []int {
	k := keyOf(a)
	found := x.entries[k].find(nil, a.Scope)
	k.id = Every
	found = x.entries[k].find(found, a.Scope)
	slices.Sort(found)
	return slices.Compact(found)
}

func keyOf(a pim.Activation) key {
	if a.Provider == pim.Group {
		return key{a.Provider, strings.ToLower(a.GroupID), a.Access}
	}
	return key{a.Provider, strings.ToLower(a.RoleID), ""}
}

func (e *scopes) find(found []int, scope string) []int {
	if e == nil {
		return found
	}
	found = append(found, e.everywhere...)
	if len(e.exact) == 0 && len(e.subtree) == 0 {
		return found
	}
	path, named := normal(scope)
	if named {
		found = append(found, e.exact[path]...)
	}
	ancestors(path, func(p string) { found = append(found, e.subtree[p]...) })
	return found
}

// Covers reports whether the selector covers the activation, for explanations.
func (s Selector) Covers(a pim.Activation) bool {
	x := NewIndex()
	x.Add(0, s)
	return len(x.Find(a)) == 1
}
