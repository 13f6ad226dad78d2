package callout

import (
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// MaxBody is the size of the largest body that Decode reads, in bytes. The largest shape with every
// member filled is about 6 KiB, justification apart.
const MaxBody = 64 << 10

// Longest texts a requester may type, in bytes and runes. PIM publishes no limits.
const (
	longestJustification = 8 << 10
	longestTicketField   = 128
)

// maxUnknownMembers is how many paths an Activation carries.
const maxUnknownMembers = 16

// Decode reads the body of a callout. The stage comes from the URL and the tenant from the caller's token,
// never from the body. Every error wraps ErrMalformed; see Reason.
func Decode(body []byte, stage pim.Stage, caller pim.Caller, arrival time.Time) (pim.Activation, error) {
	root, err := strictjson.Parse(body, strictjson.Limits{Bytes: MaxBody, SkipBOM: true})
	if err != nil {
		return pim.Activation{}, malformed(err)
	}
	root = root.IgnoringCase()
	provider, err := shapeOf(root)
	if err != nil {
		return pim.Activation{}, malformed(err)
	}
	r := &reading{arrival: arrival.UTC()}
	a := pim.Activation{Provider: provider, Stage: stage, TenantID: caller.TenantID}
	switch provider {
	case pim.AzureResource:
		r.azureResource(root, &a)
	case pim.Group:
		r.group(root, &a)
	case pim.EntraRole:
		r.entraRole(root, &a)
	}
	if r.err != nil {
		return pim.Activation{}, malformed(r.err)
	}
	a.UnknownMembers = unknownMembers(root, provider)
	return a, nil
}

// shapeOf tells the shapes apart by what only they have. The member @odata.type does not count: Graph's
// own samples show a context URL in it.
func shapeOf(root strictjson.Object) (pim.Provider, error) {
	var shapes []pim.Provider
	if root.Has("properties") {
		shapes = append(shapes, pim.AzureResource)
	}
	if root.Has("groupId") || root.Has("accessId") {
		shapes = append(shapes, pim.Group)
	}
	if root.Has("roleDefinitionId") {
		shapes = append(shapes, pim.EntraRole)
	}
	switch len(shapes) {
	case 0:
		return "", &strictjson.Error{Problem: "is none of PIM's three kinds of request"}
	case 1:
		return shapes[0], nil
	default:
		return "", &strictjson.Error{Problem: "is more than one kind of request at once"}
	}
}

func (r *reading) entraRole(root strictjson.Object, a *pim.Activation) {
	r.graphRequest(root, a)
	a.RoleID = r.roleID(root, "roleDefinitionId")
	a.Scope = r.directoryScope(root, a.Action)
}

func (r *reading) group(root strictjson.Object, a *pim.Activation) {
	r.graphRequest(root, a)
	a.GroupID = r.requiredGUID(root, "groupId")
	a.Access = r.access(root, "accessId")
}

// graphRequest reads what Graph's two shapes have in common.
func (r *reading) graphRequest(root strictjson.Object, a *pim.Activation) {
	a.RequestID = r.guid(root, "id")
	a.Action = r.action(root, "action")
	createdBy := r.object(root, "createdBy")
	a.RequestedBy = r.guid(r.object(createdBy, "user"), "id")
	a.ValidationOnly = r.boolean(root, "isValidationOnly")
	r.common(root, a)
}

func (r *reading) azureResource(root strictjson.Object, a *pim.Activation) {
	properties := r.object(root, "properties")
	a.RequestID = r.armRequestID(root)
	a.Action = r.action(properties, "requestType")
	a.RequestedBy = r.guid(properties, "requestorId")
	r.common(properties, a)
	a.RoleID = r.roleID(properties, "roleDefinitionId")
	a.Scope = r.armScope(properties, a.Action)
}

// common reads what all shapes have, though Azure has it one level down.
func (r *reading) common(o strictjson.Object, a *pim.Activation) {
	a.PrincipalID = r.requiredGUID(o, "principalId")
	a.Justification = r.justification(o)
	a.Ticket = r.ticket(o)
	r.schedule(o, a)
}
