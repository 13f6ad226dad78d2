// Package pagerduty is a stand-in for PagerDuty's REST API v2: an [http.Handler] that keeps users,
// services, on-call entries, incidents and priorities in memory and answers as strictly as the real
// system: both required headers, a valid key, known parameters, known words in enumerations and pages
// of at most 100. It never notifies anybody and keeps nothing on disk.
package pagerduty

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
)

// Server is one PagerDuty account. Its exported fields are set before the first request; everything
// else may change while it serves.
type Server struct {
	fault.Injector

	// APIKey is accepted as "Authorization: Token token=<key>"; empty accepts none.
	APIKey string
	// BearerToken is accepted as "Authorization: Bearer <token>"; empty accepts none.
	BearerToken string
	// Now is the account's clock; time.Now if nil.
	Now func() time.Time

	mu         sync.Mutex
	users      []User
	services   []Service
	onCalls    []OnCall
	incidents  []Incident
	priorities []Priority
	requests   []string
}

// User is a user of the account.
type User struct {
	ID    string
	Email string
	Name  string
}

// Service is a technical service with the escalation policy that it pages.
type Service struct {
	ID               string
	Name             string
	EscalationPolicy Reference
}

// Reference names another object: an id and what a person reads.
type Reference struct {
	ID   string
	Name string
}

// OnCall is one entry of /oncalls. Without a schedule the user is named in the policy itself; without
// start and end the entry is permanent.
type OnCall struct {
	UserID           string
	EscalationPolicy Reference
	Schedule         *Reference
	// ShiftBased makes the schedule a schedule_v3_reference.
	ShiftBased bool
	Level      int
	Start, End *time.Time
}

// Incident is an incident. The zero Status is "triggered", the zero Urgency "high" and the zero
// AssignedVia "escalation_policy".
type Incident struct {
	Number      int
	Title       string
	Status      string
	Urgency     string
	PriorityID  string
	Service     Reference
	Assignees   []string
	AssignedVia string
	// OpenedBy is the user who triggered it by hand; empty if an integration did.
	OpenedBy  string
	CreatedAt time.Time
}

// Priority is one of the account's priorities; the first one added is the worst.
type Priority struct {
	ID   string
	Name string
}

// AddUser adds users to the account.
func (s *Server) AddUser(users ...User) { s.change(func() { s.users = append(s.users, users...) }) }

// AddService adds services to the account.
func (s *Server) AddService(services ...Service) {
	s.change(func() { s.services = append(s.services, services...) })
}

// AddOnCall adds on-call entries.
func (s *Server) AddOnCall(entries ...OnCall) {
	s.change(func() { s.onCalls = append(s.onCalls, entries...) })
}

// AddIncident adds incidents.
func (s *Server) AddIncident(incidents ...Incident) {
	s.change(func() { s.incidents = append(s.incidents, incidents...) })
}

// AddPriority adds priorities, worst first. An account without any answers 402, as plans without the
// ability do.
func (s *Server) AddPriority(priorities ...Priority) {
	s.change(func() { s.priorities = append(s.priorities, priorities...) })
}

// SetOnCalls replaces all on-call entries, such as at a hand-over.
func (s *Server) SetOnCalls(entries ...OnCall) {
	s.change(func() { s.onCalls = slices.Clone(entries) })
}

// RemoveUser deletes a user; PagerDuty has no disabled users, they vanish.
func (s *Server) RemoveUser(id string) {
	s.change(func() { s.users = slices.DeleteFunc(s.users, func(u User) bool { return u.ID == id }) })
}

// Requests returns what was asked so far, as "GET /path?query", query unescaped.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// RateLimited is an account that has been asked too much: PagerDuty says in a header of its own, and not
// in Retry-After, after how many seconds it answers again.
func RateLimited(reset string) *fault.Fault {
	return &fault.Fault{
		Status: http.StatusTooManyRequests,
		Header: http.Header{"Ratelimit-Limit": {"960"}, "Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {reset}},
	}
}

func (s *Server) change(with func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	with()
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Intercept(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path+"?"+unescaped(r))
	if refused := s.refuse(r); refused != nil {
		refused.write(w)
		return
	}
	q := newQuery(r)
	answer := s.route(r, q)
	if q.err != nil {
		answer = *q.err
	}
	answer.write(w)
}

func (s *Server) route(r *http.Request, q *query) answer {
	collection, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case id != "" && collection == "users":
		return s.user(q, id)
	case id != "" && collection == "services":
		return s.service(q, id)
	case id != "":
		return notFound()
	}
	lists := map[string]func(*query) answer{
		"users":      s.listUsers,
		"oncalls":    s.listOnCalls,
		"incidents":  s.listIncidents,
		"priorities": s.listPriorities,
	}
	list, known := lists[collection]
	if !known {
		return notFound()
	}
	return list(q)
}

// refuse is what PagerDuty checks before it looks at the question.
func (s *Server) refuse(r *http.Request) *answer {
	authorization := r.Header.Get("Authorization")
	byKey := s.APIKey != "" && authorization == "Token token="+s.APIKey
	byToken := s.BearerToken != "" && authorization == "Bearer "+s.BearerToken
	switch {
	case !byKey && !byToken:
		// The real system echoes nothing; this one does, so that a client that repeats bodies is caught.
		return &answer{http.StatusUnauthorized, errorBody{Code: 2006, Message: "Authentication failed", Errors: authorization}}
	case r.Method != http.MethodGet:
		return refusal(http.StatusForbidden, 2010, "Access Denied", "read-only key")
	case r.Header.Get("Accept") != "application/vnd.pagerduty+json;version=2":
		return refusal(http.StatusBadRequest, 2001, "Invalid Input Provided", "Accept header must name version 2")
	case r.Header.Get("Content-Type") != "application/json":
		return refusal(http.StatusBadRequest, 2001, "Invalid Input Provided", "Content-Type header must be application/json")
	}
	return nil
}

func (s *Server) user(q *query, id string) answer {
	q.allow()
	i := slices.IndexFunc(s.users, func(u User) bool { return u.ID == id })
	if i < 0 {
		return notFound()
	}
	return answer{http.StatusOK, object{"user": s.users[i].json()}}
}

func (s *Server) service(q *query, id string) answer {
	q.allow()
	i := slices.IndexFunc(s.services, func(v Service) bool { return v.ID == id })
	if i < 0 {
		return notFound()
	}
	return answer{http.StatusOK, object{"service": s.services[i].json()}}
}

// listUsers matches the query as a substring of name or address, case folded, as PagerDuty does.
func (s *Server) listUsers(q *query) answer {
	q.allow("query", "limit", "offset")
	part := strings.ToLower(q.values.Get("query"))
	var hits []object
	for _, u := range s.users {
		if strings.Contains(strings.ToLower(u.Email), part) || strings.Contains(strings.ToLower(u.Name), part) {
			hits = append(hits, u.json())
		}
	}
	return q.page("users", hits)
}

// listOnCalls answers for now, as PagerDuty does unless since and until say otherwise; those two are
// refused here.
func (s *Server) listOnCalls(q *query) answer {
	q.allow("user_ids[]", "escalation_policy_ids[]", "schedule_ids[]", "limit", "offset")
	now := s.now()
	var hits []object
	for _, e := range s.onCalls {
		if e.covers(now) && e.fits(q) {
			hits = append(hits, e.json(s.userName(e.UserID)))
		}
	}
	return q.page("oncalls", hits)
}

// listIncidents has PagerDuty's trap: without date_range=all only the last month counts.
func (s *Server) listIncidents(q *query) answer {
	q.allow("user_ids[]", "service_ids[]", "statuses[]", "urgencies[]", "date_range", "include[]", "limit", "offset")
	q.oneOf("statuses[]", "triggered", "acknowledged", "resolved")
	q.oneOf("urgencies[]", "high", "low")
	q.oneOf("date_range", "all")
	q.oneOf("include[]", "acknowledgers", "agents", "assignees", "conference_bridge", "escalation_policies",
		"first_trigger_log_entries", "priorities", "services", "teams", "users")
	var hits []object
	for _, i := range s.incidents {
		recent := s.now().Sub(i.CreatedAt) < 30*24*time.Hour || q.values.Get("date_range") == "all"
		if recent && i.fits(q) {
			hits = append(hits, s.incident(i, slices.Contains(q.values["include[]"], "first_trigger_log_entries")))
		}
	}
	return q.page("incidents", hits)
}

func (s *Server) listPriorities(q *query) answer {
	q.allow("limit", "offset")
	if len(s.priorities) == 0 {
		return *refusal(http.StatusPaymentRequired, 2012, "Your account does not have the ability", "priorities")
	}
	hits := make([]object, len(s.priorities))
	for i, p := range s.priorities {
		hits[i] = p.json()
	}
	return q.page("priorities", hits)
}

func (s *Server) userName(id string) string {
	for _, u := range s.users {
		if u.ID == id {
			return u.Name
		}
	}
	return "user " + strconv.Quote(id)
}
