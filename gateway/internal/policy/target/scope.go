package target

import (
	"strings"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// Scope is one pattern of a policy: a scope, or a scope with everything beneath it.
type Scope struct {
	// path is lower case and has no slash at its end, so that the tenant's "/" is empty.
	path    string
	subtree bool
}

// ParseScope reads a pattern: a scope as it is, or with "/**" at its end for its subtree.
func ParseScope(provider pim.Provider, written string) (Scope, *strictyaml.Flaw) {
	path, subtree := strings.CutSuffix(strings.ToLower(written), "/**")
	s := Scope{path: strings.TrimRight(path, "/"), subtree: subtree}
	switch {
	case written == "":
		return s, &strictyaml.Flaw{Message: "the scope is empty", Remedy: `write "/" for the tenant, or leave scopes out for every scope`}
	case strings.Contains(s.path, "*"):
		return s, &strictyaml.Flaw{Message: "a scope has a star that is not its end", Remedy: `a scope is exact, or ends in "/**" for everything beneath it`}
	case strings.TrimSpace(written) != written || strings.Contains(s.path, "//"):
		return s, &strictyaml.Flaw{Message: "the scope has a space at an end or an empty part", Remedy: "write it as the portal shows it"}
	case s.path != "" && !hasRoot(provider, s.path):
		return s, &strictyaml.Flaw{Message: "the scope is of no kind that exists", Remedy: rootsOf(provider)}
	}
	return s, nil
}

func hasRoot(provider pim.Provider, path string) bool {
	if provider == pim.AzureResource {
		return strings.HasPrefix(path, "/subscriptions/") || strings.HasPrefix(path, "/providers/")
	}
	return strings.HasPrefix(path, "/") || strings.HasPrefix(path, "app:")
}

func rootsOf(provider pim.Provider) string {
	if provider == pim.AzureResource {
		return "it begins with /subscriptions/ or /providers/Microsoft.Management/managementGroups/, or is /"
	}
	return "it is /, /administrativeUnits/ and an id, / and an object id, or app: and an application scope"
}

// String is the pattern in its normal form.
func (s Scope) String() string {
	switch {
	case s.subtree:
		return s.path + "/**"
	case s.path == "":
		return "/"
	}
	return s.path
}

// normal is an activation's scope in the form of Scope.path; false if PIM did not name any.
func normal(scope string) (string, bool) {
	return strings.TrimRight(strings.ToLower(scope), "/"), scope != ""
}

// ancestors calls yield with the path and every path above it, the tenant last.
func ancestors(path string, yield func(string)) {
	for path != "" {
		yield(path)
		path = path[:max(0, strings.LastIndexByte(path, '/'))]
	}
	yield("")
}
