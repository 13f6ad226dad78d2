package callout

import (
	"bytes"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// shape says of a name in lower case whether an object may have such a member, and what shape that
// member has if the gateway reads on in it. The names are those of the Graph v1.0 metadata
// (unifiedRoleAssignmentScheduleRequest and privilegedAccessGroupAssignmentScheduleRequest, navigation
// properties included) and of the REST specification of Microsoft.Authorization 2020-10-01.
type shape func(name []byte) (known bool, inner shape)

func shapeFor(provider pim.Provider) shape {
	switch provider {
	case pim.AzureResource:
		return azureResourceShape
	case pim.Group:
		return groupShape
	case pim.EntraRole:
		return entraRoleShape
	}
	return func([]byte) (bool, shape) { return false, nil }
}

func entraRoleShape(name []byte) (bool, shape) {
	switch string(name) {
	case "roledefinitionid", "directoryscopeid", "appscopeid", "appscope", "directoryscope", "roledefinition":
		return true, nil
	}
	return graphShape(name)
}

func groupShape(name []byte) (bool, shape) {
	switch string(name) {
	case "groupid", "accessid", "group":
		return true, nil
	}
	return graphShape(name)
}

// graphShape is what Graph's two shapes have in common.
func graphShape(name []byte) (bool, shape) {
	switch string(name) {
	case "id", "action", "isvalidationonly", "targetscheduleid", "createdby", "createddatetime",
		"completeddatetime", "customdata", "activatedusing", "principal", "targetschedule":
		return true, nil
	}
	return requestShape(name)
}

// requestShape is what all three shapes have in common.
func requestShape(name []byte) (bool, shape) {
	switch string(name) {
	case "principalid", "status", "justification", "approvalid":
		return true, nil
	case "scheduleinfo":
		return true, scheduleShape
	case "ticketinfo":
		return true, ticketShape
	}
	return false, nil
}

func azureResourceShape(name []byte) (bool, shape) {
	switch string(name) {
	case "id", "name", "type":
		return true, nil
	case "properties":
		return true, azurePropertiesShape
	}
	return false, nil
}

func azurePropertiesShape(name []byte) (bool, shape) {
	switch string(name) {
	case "principaltype", "requesttype", "roledefinitionid", "scope", "targetroleassignmentscheduleid",
		"targetroleassignmentscheduleinstanceid", "linkedroleeligibilityscheduleid", "condition",
		"conditionversion", "createdon", "requestorid", "expandedproperties":
		return true, nil
	}
	return requestShape(name)
}

// scheduleShape leaves out recurrence, which PIM does not support and documents as always null: should
// it come with a value one day, that must show.
func scheduleShape(name []byte) (bool, shape) {
	switch string(name) {
	case "startdatetime":
		return true, nil
	case "expiration":
		return true, expirationShape
	}
	return false, nil
}

func expirationShape(name []byte) (bool, shape) {
	switch string(name) {
	case "type", "duration", "enddatetime":
		return true, nil
	}
	return false, nil
}

func ticketShape(name []byte) (bool, shape) {
	switch string(name) {
	case "ticketnumber", "ticketsystem":
		return true, nil
	}
	return false, nil
}

// unknowns collects the paths of members that a shape does not have.
type unknowns struct {
	paths []string
	lower []byte
}

// walk leaves out null, which is the same as absent, and annotations.
func (u *unknowns) walk(o strictjson.Object, s shape) {
	for name, kind := range o.Members() {
		if kind == strictjson.Null {
			continue
		}
		u.lower = appendLower(u.lower[:0], name)
		known, inner := s(u.lower)
		if inner != nil {
			next, _, _ := o.Object(name)
			u.walk(next, inner)
		} else if !known && !bytes.Contains(u.lower, []byte("@odata.")) {
			u.paths = append(u.paths, o.Path(name))
		}
	}
}

// appendLower lowers ASCII letters only.
func appendLower(b []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}
