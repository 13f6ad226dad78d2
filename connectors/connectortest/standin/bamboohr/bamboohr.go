// Package bamboohr is a stand-in for BambooHR's API: an [http.Handler] that keeps employees and time off
// in memory and answers as the real system does, its traps included: fields that may not be viewed are
// left out, records that may not be viewed are missing, future hires are inactive, id 0 is whoever owns
// the key, and XML is the answer unless JSON is asked for. It is stricter in one thing: a parameter that it
// does not know is refused, so that a misspelt filter does not go unnoticed. It keeps nothing on disk.
package bamboohr

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
)

// Server is one company's BambooHR. Its exported fields are set before the first request; everything else
// may change while it serves.
type Server struct {
	fault.Injector

	// APIKey is the user name of Basic authentication; the password does not matter.
	APIKey string
	// Owner is the employee id that the id 0 stands for; empty if the key belongs to no employee.
	Owner string

	mu        sync.Mutex
	employees []Employee
	timeOff   []TimeOff
	requests  []string
}

// Employee is one employee record. Fields hold what GET /employees/{id} shows, by its names, such as
// status, workEmail, employeeNumber, hireDate; a nil value is null.
type Employee struct {
	ID     string
	Fields map[string]any
	// Hidden are fields that the key may not view.
	Hidden []string
	// Invisible hides the whole record from the key.
	Invisible bool
	// HideTimeOff hides the employee's time off from the key: the list is empty and policies are refused.
	HideTimeOff bool
}

// TimeOff is one request for time off, from Start to End (2006-01-02), both days included. The zero
// Status is "approved". A Holiday is in the calendar of who is out and no request.
type TimeOff struct {
	EmployeeID string
	Start, End string
	Status     string
	Holiday    bool
}

// AddEmployee adds employees.
func (s *Server) AddEmployee(employees ...Employee) {
	s.change(func() { s.employees = append(s.employees, employees...) })
}

// SetEmployee replaces the employee with the same id.
func (s *Server) SetEmployee(e Employee) {
	s.change(func() {
		s.employees = slices.DeleteFunc(s.employees, func(o Employee) bool { return o.ID == e.ID })
		s.employees = append(s.employees, e)
	})
}

// RemoveEmployee deletes a record.
func (s *Server) RemoveEmployee(id string) {
	s.change(func() { s.employees = slices.DeleteFunc(s.employees, func(e Employee) bool { return e.ID == id }) })
}

// AddTimeOff adds requests for time off, or holidays.
func (s *Server) AddTimeOff(requests ...TimeOff) {
	s.change(func() { s.timeOff = append(s.timeOff, requests...) })
}

// Requests returns what was asked so far, as "GET /path?query".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// RateLimited is a company that has asked too much; retryAfter is when to ask again, in seconds.
func RateLimited(retryAfter string) *fault.Fault {
	return &fault.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {retryAfter}}}
}

func (s *Server) change(with func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	with()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Intercept(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
	key, _, _ := r.BasicAuth()
	switch {
	case s.APIKey == "" || key != s.APIKey:
		// The real system echoes nothing; this one does, so that a client that repeats bodies is caught.
		refuse(w, http.StatusUnauthorized, r.Header.Get("Authorization"))
	case r.Header.Get("Accept") != "application/json":
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write([]byte("<employees/>"))
	default:
		s.route(w, r)
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/api/v2/datasets/employee/data":
		s.dataset(w, r)
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, "method not allowed")
	case r.URL.Path == "/api/v1/time_off/requests":
		s.listRequests(w, r)
	case r.URL.Path == "/api/v1/time_off/whos_out":
		s.whosOut(w, r)
	case len(path) == 4 && strings.HasPrefix(r.URL.Path, "/api/v1/employees/"):
		s.employee(w, r, path[3])
	case len(path) == 6 && strings.HasPrefix(r.URL.Path, "/api/v1_1/employees/") && strings.HasSuffix(r.URL.Path, "/time_off/policies"):
		s.policies(w, r, path[3])
	default:
		refuse(w, http.StatusNotFound, "no such resource")
	}
}

type object map[string]any

func send(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // plain maps; a client that hung up is its own business
}

// refuse answers as the older parts of the API do: an empty body and the reason in a header.
func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("X-BambooHR-Error-Message", reason)
	w.WriteHeader(status)
}

// problem answers as the newer parts do (RFC 7807).
func problem(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"status": status, "title": title}) //nolint:errchkjson // a plain map
}

// knows refuses every parameter that is not named.
func knows(w http.ResponseWriter, r *http.Request, names ...string) bool {
	for name := range r.URL.Query() {
		if !slices.Contains(names, name) {
			refuse(w, http.StatusBadRequest, "unknown parameter "+name)
			return false
		}
	}
	return true
}

func (s *Server) find(id string) *Employee {
	for i := range s.employees {
		if s.employees[i].ID == id {
			return &s.employees[i]
		}
	}
	return nil
}

// maxFields is how many fields of a record can be asked for at once.
const maxFields = 400

// employee leaves out what is unknown or may not be viewed, without a word.
func (s *Server) employee(w http.ResponseWriter, r *http.Request, id string) {
	if id == "0" {
		id = s.Owner
	}
	e, names := s.find(id), strings.Split(r.URL.Query().Get("fields"), ",")
	switch {
	case !knows(w, r, "fields", "onlyCurrent"):
	case len(names) > maxFields:
		refuse(w, http.StatusBadRequest, "too many fields")
	case id == "":
		send(w, object{"id": "0"})
	case e == nil:
		refuse(w, http.StatusNotFound, "employee not found")
	case e.Invisible:
		refuse(w, http.StatusForbidden, "Insufficient Permissions to view this employee")
	default:
		send(w, e.show(names))
	}
}

func (e *Employee) show(names []string) object {
	shown := object{"id": e.ID}
	for _, name := range names {
		value, there := e.Fields[name]
		if there && !slices.Contains(e.Hidden, name) {
			shown[name] = value
		}
	}
	return shown
}

// listRequests has BambooHR's window: a request counts if it ends on or after start and starts on or
// before end. Time off that may not be viewed is missing without a word.
func (s *Server) listRequests(w http.ResponseWriter, r *http.Request) {
	if !knows(w, r, "employeeId", "start", "end", "status") {
		return
	}
	q := r.URL.Query()
	start, end := q.Get("start"), q.Get("end")
	if !isDay(start) || !isDay(end) {
		refuse(w, http.StatusBadRequest, "start and end are required")
		return
	}
	for status := range strings.SplitSeq(q.Get("status"), ",") {
		if !slices.Contains([]string{"", "approved", "denied", "superceded", "requested", "canceled"}, status) {
			refuse(w, http.StatusBadRequest, "unknown status")
			return
		}
	}
	requests := []object{}
	for i, t := range s.timeOff {
		if t.Holiday || !t.within(start, end) || !t.fits(q.Get("employeeId"), q.Get("status")) || s.hidden(t.EmployeeID) {
			continue
		}
		requests = append(requests, t.json(i))
	}
	send(w, requests)
}

// within compares days as texts, which 2006-01-02 allows; an empty one is no limit.
func (t TimeOff) within(start, end string) bool {
	return t.End >= start && (end == "" || t.Start <= end)
}

func (t TimeOff) fits(employee, status string) bool {
	return (employee == "" || employee == t.EmployeeID) && (status == "" || slices.Contains(strings.Split(status, ","), t.status()))
}

func (t TimeOff) status() string {
	if t.Status == "" {
		return "approved"
	}
	return t.Status
}

func (t TimeOff) json(id int) object {
	return object{
		"id": id + 1, "employeeId": t.EmployeeID, "name": "Somebody", "start": t.Start, "end": t.End, "created": t.Start,
		"status": object{"status": t.status(), "lastChanged": t.Start},
		"type":   object{"id": "1", "name": "Vacation"}, "amount": object{"unit": "days", "amount": "1"},
		"dates": object{t.Start: 1},
	}
}

func (s *Server) hidden(id string) bool {
	e := s.find(id)
	return e == nil || e.Invisible || e.HideTimeOff
}

// whosOut mixes approved time off, as far as the key may view it, with the company's holidays.
func (s *Server) whosOut(w http.ResponseWriter, r *http.Request) {
	if !knows(w, r, "start", "end", "filter") {
		return
	}
	out, q := []object{}, r.URL.Query()
	for i, t := range s.timeOff {
		if !t.within(q.Get("start"), q.Get("end")) || !t.Holiday && (t.status() != "approved" || s.hidden(t.EmployeeID)) {
			continue
		}
		kind := "timeOff"
		if t.Holiday {
			kind = "holiday"
		}
		out = append(out, object{"id": i + 1, "type": kind, "employeeId": t.EmployeeID, "start": t.Start, "end": t.End})
	}
	send(w, out)
}

func (s *Server) policies(w http.ResponseWriter, r *http.Request, id string) {
	switch {
	case !knows(w, r):
	case s.hidden(id):
		refuse(w, http.StatusForbidden, "insufficient permissions")
	default:
		send(w, []object{{"timeOffPolicyId": "1", "timeOffTypeId": "1", "accrualStartDate": nil}})
	}
}

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
