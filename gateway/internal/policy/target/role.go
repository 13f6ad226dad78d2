package target

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// Every is how a policy names all roles or all groups.
const Every = "*"

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// Role is the id of a role that a policy names: by GUID, by the name of a built-in role, or every role.
func Role(provider pim.Provider, written string) (string, *strictyaml.Flaw) {
	if written == Every || guid.MatchString(written) {
		return strings.ToLower(written), nil
	}
	known := builtIn(provider)
	for name, id := range known {
		if strings.EqualFold(name, written) {
			return id, nil
		}
	}
	remedy := "write the role's GUID"
	if near, ok := strictyaml.Nearest(written, slices.Sorted(maps.Keys(known))); ok {
		remedy = fmt.Sprintf("did you mean %q? Other roles are named by their GUID", near)
	}
	return "", &strictyaml.Flaw{Message: fmt.Sprintf("%q is no built-in role that is known by name", written), Remedy: remedy}
}

// Group is the id of a group that a policy names, or every group.
func Group(written string) (string, *strictyaml.Flaw) {
	if written == Every || guid.MatchString(written) {
		return strings.ToLower(written), nil
	}
	return "", &strictyaml.Flaw{
		Message: fmt.Sprintf("%q is no object id of a group", written), Remedy: "write the group's object id, a GUID, or \"*\" for every group",
	}
}

// RoleNames gives the names of built-in roles by their ids.
type RoleNames struct {
	byProvider map[pim.Provider]map[string]string
}

// NewRoleNames returns the names.
func NewRoleNames() RoleNames {
	names := RoleNames{byProvider: map[pim.Provider]map[string]string{}}
	for _, provider := range []pim.Provider{pim.EntraRole, pim.AzureResource} {
		byID := map[string]string{}
		for name, id := range builtIn(provider) {
			byID[id] = name
		}
		names.byProvider[provider] = byID
	}
	return names
}

// Name is the name of a built-in role; empty for a role that is not known.
func (n RoleNames) Name(provider pim.Provider, id string) string {
	return n.byProvider[provider][strings.ToLower(id)]
}

func builtIn(provider pim.Provider) map[string]string {
	switch provider {
	case pim.EntraRole:
		return entraRoles()
	case pim.AzureResource:
		return azureRoles()
	case pim.Group:
	}
	return nil
}

// entraRoles are template ids from learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference.
func entraRoles() map[string]string {
	//nolint:gosec // names and public ids of roles, no credentials
	return map[string]string{
		"Application Administrator":               "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
		"Authentication Administrator":            "c4e39bd9-1100-46d3-8c65-fb160da0071f",
		"Billing Administrator":                   "b0f54661-2d74-4c50-afa3-1ec803f12efe",
		"Cloud Application Administrator":         "158c047a-c907-4556-b7ef-446551a6b5f7",
		"Conditional Access Administrator":        "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",
		"Exchange Administrator":                  "29232cdf-9323-42fd-ade2-1d097af3e4de",
		"Global Administrator":                    "62e90394-69f5-4237-9190-012177145e10",
		"Global Reader":                           "f2ef992c-3afb-46b9-b7cf-a126ee74c451",
		"Groups Administrator":                    "fdd7a751-b60b-444a-984c-02652fe8fa1c",
		"Helpdesk Administrator":                  "729827e3-9c14-49f7-bb1b-9608f156bbb8",
		"Hybrid Identity Administrator":           "8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2",
		"Identity Governance Administrator":       "45d8d3c5-c802-45c6-b32a-1d70b5e1e86e",
		"Intune Administrator":                    "3a2c62db-5318-420d-8d74-23affee5d9d5",
		"Password Administrator":                  "966707d0-3269-4727-9be2-8c3a10f19b9d",
		"Privileged Authentication Administrator": "7be44c8a-adaf-4e2a-84d6-ab2649e08a13",
		"Privileged Role Administrator":           "e8611ab8-c189-46e8-94e1-60213ab1f814",
		"Security Administrator":                  "194ae4cb-b126-40b2-bd5b-6091b380977d",
		"Security Reader":                         "5d6b6bb7-de71-4623-b4af-96380a352509",
		"SharePoint Administrator":                "f28a1f50-f6e7-4571-818b-6a12f2af6b6c",
		"Teams Administrator":                     "69091246-20e8-4a56-aa4d-066075b2a7a8",
		"User Administrator":                      "fe930be7-5e62-47db-91af-98c3a49a38b1",
	}
}

// azureRoles are from learn.microsoft.com/azure/role-based-access-control/built-in-roles.
func azureRoles() map[string]string {
	//nolint:gosec // names and public ids of roles, no credentials
	return map[string]string{
		"Contributor":                             "b24988ac-6180-42a0-ab88-20f7382dd24c",
		"Key Vault Administrator":                 "00482a5a-887f-4fb3-b363-3b7fe8e74483",
		"Key Vault Contributor":                   "f25e0fa2-a7c8-4377-a976-54943a77a395",
		"Key Vault Secrets Officer":               "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
		"Managed Identity Operator":               "f1a07417-d97a-45cb-824c-7a7467783830",
		"Microsoft Sentinel Contributor":          "ab8e14d6-4a74-4a29-9ba8-549422addade",
		"Owner":                                   "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
		"Reader":                                  "acdd72a7-3385-48ef-bd42-f606fba81ae7",
		"Reservations Administrator":              "a8889054-8d42-49c9-bc1c-52486c10e7cd",
		"Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
		"Storage Account Contributor":             "17d1049b-9a84-46fb-8f53-869881c3d3ab",
		"Storage Account Key Operator":            "81a9662b-bebf-436f-a333-f67b29880f12",
		"Storage Blob Data Contributor":           "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
		"Storage Blob Data Owner":                 "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
		"User Access Administrator":               "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
		"Virtual Machine Administrator Login":     "1c0163c0-47e6-4577-8991-ea5c82e286e4",
		"Virtual Machine Contributor":             "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
		"Virtual Machine User Login":              "fb879df8-f326-4884-b1cf-06f3ad86be52",
	}
}
