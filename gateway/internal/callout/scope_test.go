package callout_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/gateway/internal/callout"
)

const (
	globalAdministrator = "62e90394-69f5-4237-9190-012177145e10"
	subscription        = "0c9e5d1a-2b3c-4d5e-8f60-718293a4b5c6"
)

// spellingsOfRole are ways in which clients of ARM and Graph write one role.
func spellingsOfRole() []string {
	var all []string
	for _, guid := range []string{globalAdministrator, strings.ToUpper(globalAdministrator), "62E90394-69f5-4237-9190-012177145E10"} {
		all = append(all, guid)
		for _, scope := range []string{
			"", "/subscriptions/" + subscription, "/subscriptions/" + subscription + "/resourceGroups/Ärger_(1)",
			"/providers/Microsoft.Management/managementGroups/mg",
		} {
			for _, path := range []string{
				"/providers/Microsoft.Authorization/roleDefinitions/",
				"/PROVIDERS/MICROSOFT.AUTHORIZATION/ROLEDEFINITIONS/",
				"/providers/microsoft.authorization/roledefinitions/",
			} {
				id := scope + path + guid
				all = append(all, id, strings.TrimPrefix(id, "/"), id+"/")
			}
		}
	}
	return all
}

func TestEverySpellingOfARoleIsTheSameRole(t *testing.T) {
	t.Parallel()
	spellings := spellingsOfRole()
	if len(spellings) < 40 {
		t.Fatalf("only %d spellings", len(spellings))
	}
	for body, member := range map[string]string{"entra_role.json": "roleDefinitionId", "azure_resource.json": "properties.roleDefinitionId"} {
		want := mustDecode(t, edited(t, body, map[string]any{member: globalAdministrator})).Digest()
		for _, spelling := range spellings {
			a := mustDecode(t, edited(t, body, map[string]any{member: spelling}))
			if a.RoleID != globalAdministrator || a.Digest() != want {
				t.Errorf("%s: role %s", spelling, a.RoleID)
			}
		}
	}
}

func TestRoleIDRefuses(t *testing.T) {
	t.Parallel()
	const path = "/providers/Microsoft.Authorization/roleDefinitions/"
	for _, text := range []string{
		"", "/", "Owner", "/" + globalAdministrator, globalAdministrator + "/", "{" + globalAdministrator + "}",
		path, path + "Owner", path + "/" + globalAdministrator, path + globalAdministrator + "//", path + globalAdministrator + "/x",
		path + globalAdministrator + "/.", path + globalAdministrator + "/..", "/.." + path + globalAdministrator,
		"/subscriptions/.." + path + globalAdministrator, "%2Fproviders%2FMicrosoft.Authorization%2FroleDefinitions%2F" + globalAdministrator,
		"/providers/Microsoft.Authorization%2FroleDefinitions/" + globalAdministrator, path + globalAdministrator + "%00",
		path + globalAdministrator + "\x00", path + globalAdministrator + " ", path + globalAdministrator + "?x", path + globalAdministrator + "#x",
		`\providers\Microsoft.Authorization\roleDefinitions\` + globalAdministrator,
		"/providers/Microsoft.Authorization/roleAssignments/" + globalAdministrator,
		"/providers/Microsoft.Authorization.Evil/roleDefinitions/" + globalAdministrator,
		"/providers/Microſoft.Authorization/roleDefinitions/" + globalAdministrator,
		path + "６2e90394-69f5-4237-9190-012177145e10", path + "62e90394-69f5-4237-9190-012177145e1", path + "62e90394x69f5-4237-9190-012177145e10",
		path + globalAdministrator + "\u200b", "/" + strings.Repeat("a", 2048) + path + globalAdministrator,
	} {
		if id, ok := callout.RoleID(text); ok {
			t.Errorf("%q is role %s", text, id)
		}
	}
}

func TestDirectoryScope(t *testing.T) {
	t.Parallel()
	const unit = "ab01cd23-4567-489a-8bcd-ef0123456789"
	for text, want := range map[string]string{
		"/":                            "/",
		"/administrativeUnits/" + unit: "/administrativeunits/" + unit,
		"/ADMINISTRATIVEUNITS/" + strings.ToUpper(unit): "/administrativeunits/" + unit,
		"administrativeUnits/" + unit + "/":             "/administrativeunits/" + unit,
		"/" + unit:                                      "/" + unit,
		strings.ToUpper(unit):                           "/" + unit,
	} {
		if got, ok := callout.DirectoryScope(text); !ok || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "//", "/x", "/administrativeUnits", "/administrativeUnits/", "/administrativeUnits/x", "/administrativeUnits" + unit,
		"/administrativeUnits//" + unit, "/administrativeUnits/" + unit + "/x", "/administrativeUnits/../" + unit,
		"/administrativeUnits%2F" + unit, "/groups/" + unit, "/" + unit + "/" + unit, "/subscriptions/" + unit, " /", "/ ",
	} {
		if got, ok := callout.DirectoryScope(text); ok {
			t.Errorf("%q is directory scope %q", text, got)
		}
	}
}

func TestARMScope(t *testing.T) {
	t.Parallel()
	sub := "/subscriptions/" + subscription
	for text, want := range map[string]string{
		"/":                                   "/",
		sub:                                   sub,
		"subscriptions/" + subscription + "/": sub,
		"/SUBSCRIPTIONS/" + strings.ToUpper(subscription):                               sub,
		"providers/Microsoft.Subscription" + sub:                                        sub,
		"/providers/Microsoft.Subscription" + sub + "/":                                 sub,
		"/providers/Microsoft.Subscription" + sub + "/resourceGroups/A":                 sub + "/resourcegroups/a",
		sub + "/resourceGroups/RG-Pay_(1).x":                                            sub + "/resourcegroups/rg-pay_(1).x",
		sub + "/resourceGroups/ÄRGER":                                                   sub + "/resourcegroups/ärger",
		sub + "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/Vault":            sub + "/resourcegroups/rg/providers/microsoft.keyvault/vaults/vault",
		"/providers/Microsoft.Management/managementGroups/Contoso":                      "/providers/microsoft.management/managementgroups/contoso",
		"providers/Microsoft.Management/managementGroups/11111111-2222-3333-4444-5555/": "/providers/microsoft.management/managementgroups/11111111-2222-3333-4444-5555",
	} {
		if got, ok := callout.ARMScope(text); !ok || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "//", "/x", "/subscriptions", "/subscriptions/", "/subscriptions/prod", "/subscriptions/" + subscription + "x",
		sub + "//resourceGroups/a", sub + "/resourceGroups/../x", sub + "/resourceGroups/./x", sub + "/resourceGroups/...", sub + "/resourceGroups/a%2Fb",
		sub + "/resourceGroups/a b", sub + "/resourceGroups/a\u00a0b", sub + "/resourceGroups/a\u200bb", sub + "/resourceGroups/a\nb", sub + "/resourceGroups/a\u202e",
		sub + "/resourceGroups/\u212aeys", sub + "/resourceGroups/\u0130d", sub + "/resourceGroups/\ufffd", sub + "/resourceGroups/*", sub + "/resourceGroups/**",
		"/providers/Microsoft.Subscription/subscriptions/x", "https://management.azure.com" + sub, sub + "?api-version=1", sub + "\x00",
	} {
		if got, ok := callout.ARMScope(text); ok {
			t.Errorf("%q is scope %q", text, got)
		}
	}
}

func TestAppScopeIsNeverADirectoryScope(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"/": "app:/", "/Catalog/7": "app:/catalog/7", "7": "app:/7"} {
		a := mustDecode(t, edited(t, "entra_role.json", map[string]any{"directoryScopeId": "", "appScopeId": value}))
		if a.Scope != want {
			t.Errorf("%q: %q, want %q", value, a.Scope, want)
		}
	}
	if a := mustDecode(t, edited(t, "entra_role.json", map[string]any{"appScopeId": "/"})); a.Scope != "/" {
		t.Errorf("both for the tenant: %q", a.Scope)
	}
	for _, value := range []string{"/../x", "//", "/a%2f", "a b"} {
		if _, err := decode(edited(t, "entra_role.json", map[string]any{"directoryScopeId": "", "appScopeId": value})); err == nil {
			t.Errorf("%q was read", value)
		}
	}
}

// A normal form is its own normal form, however the scope was spelt.
func TestNormalFormsAreStable(t *testing.T) {
	t.Parallel()
	forms := map[string]func(string) (string, bool){
		"role": callout.RoleID, "directory": callout.DirectoryScope, "arm": callout.ARMScope,
	}
	segment := rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9._()-]{1,12}`), rapid.SampledFrom([]string{
			"subscriptions", "Providers", "Microsoft.Authorization", "roleDefinitions", "administrativeUnits", "Microsoft.Subscription",
			subscription, strings.ToUpper(globalAdministrator), "ÄRGER", "Ǆ", "ẞ", "ΑΣ", "İ", "\u212a", "..", "", "%2e",
		}),
	)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "/"}).Draw(t, "front") +
			strings.Join(rapid.SliceOfN(segment, 0, 8).Draw(t, "segments"), "/") +
			rapid.SampledFrom([]string{"", "/"}).Draw(t, "back")
		for name, normal := range forms {
			once, ok := normal(text)
			if !ok {
				continue
			}
			if twice, ok := normal(once); !ok || twice != once {
				t.Errorf("%s: %q becomes %q becomes %q", name, text, once, twice)
			}
			upper, ok := normal(upperASCII(text))
			if !ok || upper != once {
				t.Errorf("%s: %q becomes %q, in capitals %q", name, text, once, upper)
			}
		}
	})
}

func upperASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, text)
}
