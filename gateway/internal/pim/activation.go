package pim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Provider says which of PIM's three request shapes an activation came in.
type Provider string

// The providers.
const (
	EntraRole     Provider = "entra_role"
	Group         Provider = "group"
	AzureResource Provider = "azure_resource"
)

// Stage says when in its workflow PIM called. It is known from the URL, never from the body.
type Stage string

// The stages.
const (
	PreApproval  Stage = "pre_approval"
	PostApproval Stage = "post_approval"
)

// Action is what the requester wants PIM to do.
type Action string

// The actions of Graph's unifiedRoleScheduleRequestActions and ARM's requestType.
const (
	AdminAssign    Action = "admin_assign"
	AdminUpdate    Action = "admin_update"
	AdminRemove    Action = "admin_remove"
	AdminExtend    Action = "admin_extend"
	AdminRenew     Action = "admin_renew"
	SelfActivate   Action = "self_activate"
	SelfDeactivate Action = "self_deactivate"
	SelfExtend     Action = "self_extend"
	SelfRenew      Action = "self_renew"
	UnknownAction  Action = "unknown"
)

// GivesUpAccess reports whether the action only takes access away, which nobody must be kept from.
func (a Action) GivesUpAccess() bool { return a == SelfDeactivate || a == AdminRemove }

// Access is the kind of group membership that is activated.
type Access string

// The kinds of access to a group.
const (
	Member Access = "member"
	Owner  Access = "owner"
)

// Activation is one request to activate an eligible assignment, normalised: identifiers, scopes and
// enumerations are lower case, times are UTC, and spellings that mean the same are the same.
type Activation struct {
	Provider Provider `json:"provider"`
	Stage    Stage    `json:"stage"`
	Action   Action   `json:"action"`

	// TenantID is the tenant of the token that the callout carried.
	TenantID string `json:"tenant_id"`
	// RequestID is PIM's identifier of the request; empty where the shape has none.
	RequestID string `json:"request_id,omitempty"`
	// PrincipalID is the object id of whoever gets the access.
	PrincipalID string `json:"principal_id"`
	// RequestedBy is the object id of whoever asked for it; empty where PIM does not say.
	RequestedBy string `json:"requested_by,omitempty"`

	// RoleID is the role's GUID, for entra_role and azure_resource.
	RoleID string `json:"role_id,omitempty"`
	// Scope is where the role applies: a directory scope ("/", "/administrativeunits/{id}"), "app:" and
	// an application scope, or an ARM scope ("/subscriptions/{id}/resourcegroups/{name}").
	Scope string `json:"scope,omitempty"`
	// GroupID is the group's object id, for group.
	GroupID string `json:"group_id,omitempty"`
	// Access is the kind of membership, for group.
	Access Access `json:"access,omitempty"`

	// StartsAt is when the access begins; the time of arrival where PIM does not say.
	StartsAt time.Time `json:"starts_at"`
	// StartsOnArrival is set where PIM does not say; StartsAt then differs between repeats.
	StartsOnArrival bool `json:"starts_on_arrival,omitempty"`
	// Duration is how long the access lasts, more than zero; zero means without end.
	Duration time.Duration `json:"duration,omitzero"`
	// EndGiven is set where PIM gives the end and not the length; together with StartsOnArrival it makes
	// Duration differ between repeats.
	EndGiven bool `json:"end_given,omitempty"`

	Ticket        Ticket `json:"ticket,omitzero"`
	Justification string `json:"justification,omitempty"`
	// ValidationOnly is set if the requester's client only checks whether it could activate.
	ValidationOnly bool `json:"validation_only,omitempty"`
	// UnknownMembers are the paths of body members this version does not know, at most 16.
	UnknownMembers []string `json:"unknown_members,omitempty"`
}

// Ticket is what the requester typed into PIM's ticket fields; empty fields mean none.
type Ticket struct {
	Number string `json:"number,omitempty"`
	System string `json:"system,omitempty"`
}

// EndsAt is when the access ends, and false if it never does.
func (a Activation) EndsAt() (time.Time, bool) {
	return a.StartsAt.Add(a.Duration), a.Duration > 0
}

// Digest identifies everything about the activation that can bear on a decision: activations that
// normalise identically have the same digest. Members PIM added since are not part of it.
func (a Activation) Digest() string {
	h := sha256.New()
	starts, lasts := a.StartsAt.UTC().Format(time.RFC3339Nano), a.Duration.String()
	if a.StartsOnArrival {
		starts = ""
		if end, ends := a.EndsAt(); ends && a.EndGiven {
			lasts = "until " + end.UTC().Format(time.RFC3339Nano)
		}
	}
	for _, field := range []string{
		string(a.Provider), string(a.Stage), string(a.Action), a.TenantID, a.RequestID, a.PrincipalID, a.RequestedBy,
		a.RoleID, a.Scope, a.GroupID, string(a.Access), starts, lasts,
		a.Ticket.Number, a.Ticket.System, a.Justification, strconv.FormatBool(a.ValidationOnly),
	} {
		// The length keeps neighbouring fields from running into each other.
		_, _ = io.WriteString(h, fmt.Sprintf("%d:%s", len(field), field))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// RequestKey names the request that repeated deliveries share. PIM's identifier is not enough: the
// same id may come for the other stage, and the Azure shape of the public documentation has none.
func (a Activation) RequestKey() string {
	id := a.RequestID
	if id == "" {
		id = "sha256:" + a.Digest()
	}
	return a.TenantID + "/" + string(a.Stage) + "/" + string(a.Provider) + "/" + id
}

// Caller is the authenticated client of a callout.
type Caller struct {
	TenantID string `json:"tenant_id"`
	// AppID is the client id of the application that called.
	AppID string `json:"app_id"`
	// ObjectID is the object id of its service principal in the tenant.
	ObjectID string `json:"object_id,omitempty"`
	// TokenID is the token's own identifier (uti), for correlation with sign-in logs.
	TokenID string `json:"token_id,omitempty"`
	// TokenVersion is "1.0" or "2.0".
	TokenVersion string `json:"token_version"`
}
