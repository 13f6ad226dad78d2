package pagerduty

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

type object map[string]any

// errorBody is the documented form of an error; errors is "any" because the real system sends a list,
// a plain string or nothing.
type errorBody struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Errors  any    `json:"errors,omitempty"`
}

type answer struct {
	status int
	body   any
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	body := a.body
	if problem, isError := body.(errorBody); isError {
		body = object{"error": problem}
	}
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // plain maps; a client that hung up is its own business
}

func refusal(status, code int, message, reason string) *answer {
	return &answer{status, errorBody{Code: code, Message: message, Errors: []string{reason}}}
}

func notFound() answer {
	return answer{http.StatusNotFound, errorBody{Code: 2100, Message: "Not Found"}}
}

func reference(kind string, r Reference) object {
	return object{
		"id": r.ID, "type": kind, "summary": r.Name, "self": nil,
		"html_url": "https://acme.pagerduty.com/" + kind + "/" + r.ID,
	}
}

func (u User) json() object {
	return object{
		"id": u.ID, "type": "user", "summary": u.Name, "name": u.Name, "email": u.Email,
		"role": "limited_user", "job_title": nil, "invitation_sent": false, "teams": []object{},
	}
}

func (v Service) json() object {
	return object{
		"id": v.ID, "type": "service", "summary": v.Name, "name": v.Name, "status": "active",
		"escalation_policy": reference("escalation_policy_reference", v.EscalationPolicy),
	}
}

func (p Priority) json() object {
	return object{"id": p.ID, "type": "priority", "summary": p.Name, "name": p.Name, "description": ""}
}

// covers says whether the entry holds at an instant: the start counts, the end does not.
func (e OnCall) covers(now time.Time) bool {
	return (e.Start == nil || !now.Before(*e.Start)) && (e.End == nil || now.Before(*e.End))
}

func (e OnCall) fits(q *query) bool {
	schedule := "null"
	if e.Schedule != nil {
		schedule = e.Schedule.ID
	}
	return q.has("user_ids[]", e.UserID) &&
		q.has("escalation_policy_ids[]", e.EscalationPolicy.ID) &&
		q.has("schedule_ids[]", schedule)
}

func (e OnCall) json(userName string) object {
	var schedule any
	switch {
	case e.Schedule != nil && e.ShiftBased:
		schedule = reference("schedule_v3_reference", *e.Schedule)
	case e.Schedule != nil:
		schedule = reference("schedule_reference", *e.Schedule)
	}
	return object{
		"user":              reference("user_reference", Reference{ID: e.UserID, Name: userName}),
		"escalation_policy": reference("escalation_policy_reference", e.EscalationPolicy),
		"escalation_level":  e.Level,
		"schedule":          schedule,
		"start":             stamp(e.Start),
		"end":               stamp(e.End),
	}
}

func stamp(at *time.Time) any {
	if at == nil {
		return nil
	}
	return at.UTC().Format(time.RFC3339)
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// fits has PagerDuty's rule that somebody's incidents are the open ones: nobody is assigned to a resolved
// incident.
func (i Incident) fits(q *query) bool {
	wanted := q.values["user_ids[]"]
	assigned := i.Status != "resolved" && slices.ContainsFunc(wanted, func(id string) bool { return slices.Contains(i.Assignees, id) })
	return (len(wanted) == 0 || assigned) && q.has("service_ids[]", i.Service.ID) &&
		q.has("statuses[]", or(i.Status, "triggered")) && q.has("urgencies[]", or(i.Urgency, "high"))
}

func (s *Server) incident(i Incident, withEntry bool) object {
	assignments := make([]object, len(i.Assignees))
	for n, id := range i.Assignees {
		assignments[n] = object{"at": stamp(&i.CreatedAt), "assignee": reference("user_reference", Reference{ID: id, Name: s.userName(id)})}
	}
	var priority any
	if at := slices.IndexFunc(s.priorities, func(p Priority) bool { return p.ID == i.PriorityID }); at >= 0 {
		priority = s.priorities[at].json()
	}
	id := "Q" + strconv.Itoa(i.Number)
	return object{
		"id": id, "type": "incident", "summary": "[#" + strconv.Itoa(i.Number) + "] " + i.Title,
		"incident_number": i.Number, "title": i.Title, "status": or(i.Status, "triggered"), "urgency": or(i.Urgency, "high"),
		"created_at": stamp(&i.CreatedAt), "html_url": "https://acme.pagerduty.com/incidents/" + id,
		"service": reference("service_reference", i.Service), "priority": priority,
		"assignments": assignments, "assigned_via": or(i.AssignedVia, "escalation_policy"),
		"first_trigger_log_entry": s.firstEntry(i, withEntry),
	}
}

func (s *Server) firstEntry(i Incident, whole bool) object {
	entry := reference("trigger_log_entry_reference", Reference{ID: "R" + strconv.Itoa(i.Number), Name: "Triggered"})
	if !whole {
		return entry
	}
	entry["type"] = "trigger_log_entry"
	entry["created_at"] = stamp(&i.CreatedAt)
	entry["agent"] = reference("events_api_v2_inbound_integration_reference", Reference{ID: "PINTEGR", Name: "Monitoring"})
	if i.OpenedBy != "" {
		entry["agent"] = reference("user_reference", Reference{ID: i.OpenedBy, Name: s.userName(i.OpenedBy)})
	}
	return entry
}
