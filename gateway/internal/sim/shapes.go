package sim

import (
	"strings"

	"github.com/google/uuid"

	"github.com/countersign/countersign/gateway/internal/pim"
)

func entraRole(a pim.Activation, s Spelling) object {
	scope, appScope := any(GraphScope(a.Scope)), any(nil)
	if app, ok := strings.CutPrefix(a.Scope, "app:"); ok {
		scope, appScope = nil, app
	}
	middle := object{{"roleDefinitionId", a.RoleID}, {"directoryScopeId", scope}, {"appScopeId", appScope}}
	o := graphRequest(a, s, graphShape{
		odataType: "#microsoft.graph.unifiedRoleAssignmentScheduleRequest",
		context:   "https://graph.microsoft.com/v1.0/$metadata#roleManagement/directory/roleAssignmentScheduleRequests/$entity",
		target:    a.RequestID,
		middle:    middle,
	})
	if s.Form == Documented && appScope == nil {
		return o.without("appScopeId")
	}
	if at := o.index("scheduleInfo"); at >= 0 && s.Form == Full {
		o[at].value = append(schedule(a, s, Camel), member{"recurrence", nil})
	}
	return o
}

func group(a pim.Activation, s Spelling) object {
	return graphRequest(a, s, graphShape{
		odataType: "#microsoft.graph.privilegedAccessGroupAssignmentScheduleRequest",
		context:   "https://graph.microsoft.com/v1.0/$metadata#identityGovernance/privilegedAccess/group/assignmentScheduleRequests/$entity",
		target:    a.GroupID + "_" + string(a.Access) + "_" + a.RequestID,
		middle:    object{{"accessId", s.word(string(a.Access), Camel)}, {"groupId", a.GroupID}},
	})
}

type graphShape struct {
	odataType, context, target string
	middle                     object
}

func graphRequest(a pim.Activation, s Spelling, shape graphShape) object {
	typeName := shape.odataType
	if s.ContextType {
		typeName = shape.context
	}
	o := object{
		{"@odata.type", typeName},
		{"id", a.RequestID},
		{"status", "PendingApproval"},
		{"completedDateTime", nil},
		{"createdDateTime", timestamp(a.StartsAt)},
		{"approvalId", nil},
		{"customData", nil},
		{"createdBy", createdBy(a)},
		{"action", s.word(string(a.Action), Camel)},
		{"principalId", a.PrincipalID},
	}
	o = append(o, shape.middle...)
	o = append(o, object{
		{"isValidationOnly", a.ValidationOnly},
		{"targetScheduleId", shape.target},
		{"justification", a.Justification},
	}...)
	if !a.Action.GivesUpAccess() {
		o = append(o, member{"scheduleInfo", schedule(a, s, Camel)})
	}
	o = withTicket(o, a, s)
	if s.Form == Documented {
		return documented(o)
	}
	return o
}

// documented leaves the members of the public documentation, which names the types of the inner
// objects too.
func documented(o object) object {
	o = o.without("completedDateTime", "createdDateTime", "approvalId", "customData", "createdBy", "isValidationOnly", "targetScheduleId")
	for name, typeName := range map[string]string{"scheduleInfo": "microsoft.graph.requestSchedule", "ticketInfo": "microsoft.graph.ticketInfo"} {
		at := o.index(name)
		if at < 0 {
			continue
		}
		if inner, ok := o[at].value.(object); ok {
			o[at].value = append(object{{"@odata.type", typeName}}, inner...)
		}
	}
	return o
}

// createdBy is an identity set; a request without a requester comes from PIM itself.
func createdBy(a pim.Activation) any {
	if a.RequestedBy == "" {
		return nil
	}
	return object{{"application", nil}, {"device", nil}, {"user", object{{"displayName", nil}, {"id", a.RequestedBy}}}}
}

func azureResource(a pim.Activation, s Spelling) object {
	scope := ARMScope(a.Scope)
	properties := object{
		{"targetRoleAssignmentScheduleId", a.RequestID},
		{"targetRoleAssignmentScheduleInstanceId", nil},
		{"scope", scope},
		{"roleDefinitionId", roleDefinition(a, s)},
		{"principalId", a.PrincipalID},
		{"principalType", s.word("user", Pascal)},
		{"requestType", s.word(string(a.Action), Pascal)},
		{"status", "PendingApproval"},
		{"approvalId", nil},
	}
	if !a.Action.GivesUpAccess() {
		properties = append(properties, member{"scheduleInfo", schedule(a, s, Pascal)})
	}
	properties = append(withTicket(properties, a, s), object{
		{"justification", a.Justification},
		{"requestorId", orNull(a.RequestedBy)},
		{"createdOn", timestamp(a.StartsAt)},
		{"linkedRoleEligibilityScheduleId", linked(a)},
		{"condition", nil},
		{"conditionVersion", nil},
		{"expandedProperties", expanded(a, s)},
	}...)
	if s.Form == Documented {
		return object{{"properties", properties.without("targetRoleAssignmentScheduleId", "targetRoleAssignmentScheduleInstanceId",
			"status", "approvalId", "requestorId", "createdOn", "linkedRoleEligibilityScheduleId", "condition", "conditionVersion", "expandedProperties")}}
	}
	const requests = "/providers/Microsoft.Authorization/RoleAssignmentScheduleRequests"
	return object{
		{"properties", properties},
		{"name", a.RequestID},
		{"id", scope + requests + "/" + a.RequestID},
		{"type", "Microsoft.Authorization/RoleAssignmentScheduleRequests"},
	}
}

// linked is the eligibility that is activated: the same for the same principal, role and scope.
func linked(a pim.Activation) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(a.PrincipalID+a.RoleID+a.Scope)).String()
}

func roleDefinition(a pim.Activation, s Spelling) string {
	if s.BareRole {
		return a.RoleID
	}
	return subscription(a.Scope) + "/providers/Microsoft.Authorization/roleDefinitions/" + a.RoleID
}

// subscription is the beginning of a scope that names its subscription; empty above subscriptions,
// where the ids of built-in roles have no beginning either.
func subscription(scope string) string {
	parts := strings.SplitN(scope, "/", 4)
	if len(parts) < 3 || parts[1] != "subscriptions" {
		return ""
	}
	return strings.Join(parts[:3], "/")
}

func expanded(a pim.Activation, s Spelling) object {
	return object{
		{"scope", object{{"id", ARMScope(a.Scope)}, {"displayName", lastSegment(a.Scope)}, {"type", armKind(a.Scope)}}},
		{"roleDefinition", object{{"id", roleDefinition(a, Spelling{})}, {"displayName", nil}, {"type", "BuiltInRole"}}},
		{"principal", object{
			{"id", a.PrincipalID}, {"displayName", orNull(s.Requester.Name)}, {"email", orNull(s.Requester.Email)}, {"type", "User"},
		}},
	}
}

func armKind(scope string) string {
	switch {
	case strings.Contains(strings.ToLower(scope), "/managementgroups/"):
		return "managementgroup"
	case strings.Contains(strings.ToLower(scope), "/resourcegroups/"):
		return "resourcegroup"
	default:
		return "subscription"
	}
}

func lastSegment(scope string) string { return scope[strings.LastIndex(scope, "/")+1:] }
