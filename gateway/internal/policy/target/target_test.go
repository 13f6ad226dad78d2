package target_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/target"
)

const (
	ownerID  = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	adminID  = "62e90394-69f5-4237-9190-012177145e10"
	groupID  = "0f1e2d3c-0000-0000-0000-000000000001"
	otherID  = "0f1e2d3c-0000-0000-0000-000000000002"
	root     = "/subscriptions/aaaa"
	resource = root + "/resourcegroups/pay/providers/microsoft.keyvault/vaults/v"
)

func TestRolesByNameAndGUID(t *testing.T) {
	t.Parallel()
	tests := []struct {
		provider pim.Provider
		written  string
		want     string
	}{
		{pim.EntraRole, "Global Administrator", adminID},
		{pim.EntraRole, "global administrator", adminID},
		{pim.EntraRole, "62E90394-69F5-4237-9190-012177145E10", adminID},
		{pim.EntraRole, "*", "*"},
		{pim.EntraRole, "Owner", ""},
		{pim.AzureResource, "Owner", ownerID},
		{pim.AzureResource, "Global Administrator", ""},
		{pim.AzureResource, "", ""},
		{pim.AzureResource, "8e3af657-a8ff-443c-a75c-2fe8c4bcb63", ""},
	}
	for _, test := range tests {
		got, flaw := target.Role(test.provider, test.written)
		if got != test.want || (flaw != nil) != (test.want == "") {
			t.Errorf("%s %q: %q, %v", test.provider, test.written, got, flaw)
		}
	}
	names := target.NewRoleNames()
	if got := names.Name(pim.AzureResource, "8E3AF657-a8ff-443c-a75c-2fe8c4bcb635"); got != "Owner" {
		t.Errorf("the name of Owner is %q", got)
	}
	if got := names.Name(pim.EntraRole, ownerID); got != "" {
		t.Errorf("Owner is the Entra role %q", got)
	}
}

func TestScopePatterns(t *testing.T) {
	t.Parallel()
	azure, entra := pim.AzureResource, pim.EntraRole
	tests := []struct {
		provider pim.Provider
		pattern  string
		covers   []string
		not      []string
	}{
		{azure, root, []string{root, "/Subscriptions/AAAA", root + "/"}, []string{resource, "/subscriptions/aaaab", "/", ""}},
		{azure, root + "/**", []string{root, resource, root + "/resourceGroups/Pay"}, []string{"/subscriptions/aaaab", "/", "/subscriptions", ""}},
		{azure, "/Subscriptions/AAAA/resourceGroups/PAY/**", []string{resource, root + "/resourcegroups/pay"}, []string{root, root + "/resourcegroups/payments"}},
		{azure, "/**", []string{"/", root, resource, ""}, nil},
		{azure, "/", []string{"/"}, []string{root, ""}},
		{
			azure, "/providers/Microsoft.Management/managementGroups/corp",
			[]string{"/providers/microsoft.management/managementgroups/corp"},
			[]string{root, "/providers/microsoft.management/managementgroups/corp2"},
		},
		{entra, "/", []string{"/"}, []string{"/administrativeunits/x", "app:/x", ""}},
		{entra, "/**", []string{"/", "/administrativeunits/x", "app:/x"}, nil},
		{entra, "/administrativeUnits/X", []string{"/administrativeunits/x"}, []string{"/", "/administrativeunits/xy"}},
		{entra, "app:/x/**", []string{"app:/x", "app:/x/y"}, []string{"app:/xy", "/x"}},
	}
	for _, test := range tests {
		scope, flaw := target.ParseScope(test.provider, test.pattern)
		if flaw != nil {
			t.Errorf("%s: %v", test.pattern, flaw)
		}
		s := target.Selector{Provider: test.provider, IDs: []string{ownerID}, Scopes: []target.Scope{scope}}
		for covered, scopes := range map[bool][]string{true: test.covers, false: test.not} {
			for _, at := range scopes {
				if s.Covers(pim.Activation{Provider: test.provider, RoleID: ownerID, Scope: at}) != covered {
					t.Errorf("%s covers %q: %v, want %v", test.pattern, at, !covered, covered)
				}
			}
		}
	}
}

func TestIndexFindsWhatCovers(t *testing.T) {
	t.Parallel()
	scope := func(pattern string) []target.Scope {
		s, flaw := target.ParseScope(pim.AzureResource, pattern)
		if flaw != nil {
			t.Fatal(flaw)
		}
		return []target.Scope{s}
	}
	x := target.NewIndex()
	x.Add(0, target.Selector{Provider: pim.AzureResource, IDs: []string{ownerID}})
	x.Add(1, target.Selector{Provider: pim.AzureResource, IDs: []string{target.Every}, Scopes: scope(root + "/**")})
	x.Add(2, target.Selector{Provider: pim.AzureResource, IDs: []string{ownerID, target.Every}, Scopes: append(scope("/**"), scope(root)...)})
	x.Add(3, target.Selector{Provider: pim.AzureResource, IDs: []string{adminID}})
	x.Add(4, target.Selector{Provider: pim.EntraRole, IDs: []string{target.Every}})
	x.Add(5, target.Selector{Provider: pim.Group, IDs: []string{groupID}, Access: []pim.Access{pim.Owner}})
	x.Add(6, target.Selector{Provider: pim.Group, IDs: []string{target.Every}, Access: []pim.Access{pim.Member, pim.Owner}})
	tests := map[string]struct {
		activation pim.Activation
		want       []int
	}{
		"a role by id, by star and by scope": {pim.Activation{Provider: pim.AzureResource, RoleID: ownerID, Scope: resource}, []int{0, 1, 2}},
		"upper case":                         {pim.Activation{Provider: pim.AzureResource, RoleID: "8E3AF657-A8FF-443C-A75C-2FE8C4BCB635", Scope: "/SUBSCRIPTIONS/AAAA"}, []int{0, 1, 2}},
		"another subscription":               {pim.Activation{Provider: pim.AzureResource, RoleID: ownerID, Scope: "/subscriptions/b"}, []int{0, 2}},
		"another role":                       {pim.Activation{Provider: pim.AzureResource, RoleID: otherID, Scope: root}, []int{1, 2}},
		"another provider":                   {pim.Activation{Provider: pim.EntraRole, RoleID: ownerID, Scope: "/"}, []int{4}},
		"a group's owner":                    {pim.Activation{Provider: pim.Group, GroupID: groupID, Access: pim.Owner}, []int{5, 6}},
		"a group's member":                   {pim.Activation{Provider: pim.Group, GroupID: groupID, Access: pim.Member}, []int{6}},
		"a group without access":             {pim.Activation{Provider: pim.Group, GroupID: groupID}, nil},
		"no provider":                        {pim.Activation{RoleID: ownerID, Scope: root}, nil},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.want, x.Find(test.activation)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestScopeSaysItsNormalForm(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{"/": "/", "/**": "/**", "/Subscriptions/A/": "/subscriptions/a", "/Subscriptions/A/**": "/subscriptions/a/**"} {
		if s, _ := target.ParseScope(pim.AzureResource, pattern); s.String() != want {
			t.Errorf("%s: %s", pattern, s)
		}
	}
}
