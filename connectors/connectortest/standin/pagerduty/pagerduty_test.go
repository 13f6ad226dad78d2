package pagerduty_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest/standin/pagerduty"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func at(offset time.Duration) *time.Time {
	t := noon().Add(offset)
	return &t
}

// account has three users who are easily mistaken for each other.
func account() *pagerduty.Server {
	s := &pagerduty.Server{APIKey: "key", BearerToken: "token", Now: noon}
	s.AddUser(
		pagerduty.User{ID: "PDOE001", Email: "E.Doe@acme.example", Name: "Erin Doe"},
		pagerduty.User{ID: "PDOE002", Email: "ellie.doe@acme.example", Name: "Ellie Doe"},
		pagerduty.User{ID: "PDOE003", Email: "someone@acme.example", Name: "e.doe@acme.example"},
	)
	s.AddService(pagerduty.Service{ID: "PSVC001", Name: "Payments", EscalationPolicy: policy()})
	return s
}

func policy() pagerduty.Reference { return pagerduty.Reference{ID: "PPOL001", Name: "Payments"} }

// request is a good one; a change makes it a bad one.
func request(t *testing.T, target string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	r.Header.Set("Authorization", "Token token=key")
	r.Header.Set("Accept", "application/vnd.pagerduty+json;version=2")
	r.Header.Set("Content-Type", "application/json")
	return r
}

// answer is every member that the tests look at, of all the answers.
type answer struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Errors  any    `json:"errors"`
	} `json:"error"`
	Limit      int              `json:"limit"`
	Offset     int              `json:"offset"`
	More       bool             `json:"more"`
	Total      *int             `json:"total"`
	User       map[string]any   `json:"user"`
	Service    map[string]any   `json:"service"`
	Users      []map[string]any `json:"users"`
	OnCalls    []map[string]any `json:"oncalls"`
	Incidents  []map[string]any `json:"incidents"`
	Priorities []map[string]any `json:"priorities"`
}

func send(t *testing.T, s *pagerduty.Server, r *http.Request) (int, answer) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: %d %s", r.URL, w.Code, w.Body)
	}
	return w.Code, a
}

// get fails the test unless the answer is 200.
func get(t *testing.T, s *pagerduty.Server, target string) answer {
	t.Helper()
	status, a := send(t, s, request(t, target))
	if status != http.StatusOK {
		t.Fatalf("%s: %d %+v", target, status, a.Error)
	}
	return a
}

// show writes one member of each record.
func show(records []map[string]any, member string) string {
	shown := make([]string, len(records))
	for i, r := range records {
		shown[i] = fmt.Sprint(r[member])
	}
	return strings.Join(shown, " ")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		code   int
	}{
		"no key":             {func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusUnauthorized, 2006},
		"another key":        {header("Authorization", "Token token=other"), http.StatusUnauthorized, 2006},
		"a key without name": {header("Authorization", "Token key"), http.StatusUnauthorized, 2006},
		"a key as token":     {header("Authorization", "Bearer key"), http.StatusUnauthorized, 2006},
		"a token as key":     {header("Authorization", "Token token=token"), http.StatusUnauthorized, 2006},
		"no Accept":          {func(r *http.Request) { r.Header.Del("Accept") }, http.StatusBadRequest, 2001},
		"Accept JSON":        {header("Accept", "application/json"), http.StatusBadRequest, 2001},
		"no Content-Type":    {func(r *http.Request) { r.Header.Del("Content-Type") }, http.StatusBadRequest, 2001},
		"another one":        {header("Content-Type", "text/plain"), http.StatusBadRequest, 2001},
		"writing":            {func(r *http.Request) { r.Method = http.MethodPost }, http.StatusForbidden, 2010},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, "/users")
			c.change(r)
			status, a := send(t, account(), r)
			if status != c.status || a.Error.Code != c.code || a.Error.Message == "" || a.Users != nil {
				t.Errorf("got %d %+v, want %d with code %d", status, a, c.status, c.code)
			}
		})
	}
}

func TestAnAccountWithoutCredentialsAdmitsNobody(t *testing.T) {
	t.Parallel()
	for _, authorization := range []string{"Token token=", "Bearer ", ""} {
		r := request(t, "/users")
		r.Header.Set("Authorization", authorization)
		if status, _ := send(t, &pagerduty.Server{}, r); status != http.StatusUnauthorized {
			t.Errorf("%q: %d", authorization, status)
		}
	}
}

func TestABearerTokenAdmits(t *testing.T) {
	t.Parallel()
	r := request(t, "/users")
	r.Header.Set("Authorization", "Bearer token")
	if status, a := send(t, account(), r); status != http.StatusOK {
		t.Errorf("%d %+v", status, a.Error)
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := account()
	s.AddPriority(pagerduty.Priority{ID: "PPRIO01", Name: "P1"})
	for target, want := range map[string]int{
		"/users?limit=100":                           http.StatusOK,
		"/users?limit=101":                           http.StatusBadRequest,
		"/users?limit=0":                             http.StatusBadRequest,
		"/users?limit=many":                          http.StatusBadRequest,
		"/users?offset=-1":                           http.StatusBadRequest,
		"/users?limit=100&offset=9900":               http.StatusOK,
		"/users?limit=100&offset=9901":               http.StatusBadRequest,
		"/users?email=e.doe@acme.example":            http.StatusBadRequest,
		"/users?query=%zz":                           http.StatusBadRequest,
		"/users/PDOE001?query=x":                     http.StatusBadRequest,
		"/users/PDOE009":                             http.StatusNotFound,
		"/services/PSVC001?query=x":                  http.StatusBadRequest,
		"/services/PSVC009":                          http.StatusNotFound,
		"/oncalls?user_ids=PDOE001":                  http.StatusBadRequest,
		"/oncalls?earliest=true":                     http.StatusBadRequest,
		"/oncalls?since=2026-11-23":                  http.StatusBadRequest,
		"/incidents?statuses[]=open":                 http.StatusBadRequest,
		"/incidents?statuses[]=triggered&statuses[]": http.StatusBadRequest,
		"/incidents?urgencies[]=High":                http.StatusBadRequest,
		"/incidents?date_range=ALL":                  http.StatusBadRequest,
		"/incidents?include[]=first_trigger":         http.StatusBadRequest,
		"/incidents?user_id[]=PDOE001":               http.StatusBadRequest,
		"/priorities?order=asc":                      http.StatusBadRequest,
		"/abilities/x":                               http.StatusNotFound,
		"/nonsense":                                  http.StatusNotFound,
	} {
		status, a := send(t, s, request(t, target))
		if status != want || (want != http.StatusOK) != (a.Error.Code != 0 && a.Error.Message != "") {
			t.Errorf("%s: got %d %+v, want %d", target, status, a.Error, want)
		}
	}
}

func TestPrioritiesNeedTheAbility(t *testing.T) {
	t.Parallel()
	s := account()
	if status, a := send(t, s, request(t, "/priorities")); status != http.StatusPaymentRequired || a.Error.Code != 2012 {
		t.Errorf("without: %d %+v", status, a.Error)
	}
	s.AddPriority(pagerduty.Priority{ID: "PPRIO01", Name: "P1"}, pagerduty.Priority{ID: "PPRIO02", Name: "P2"})
	if got := show(get(t, s, "/priorities").Priorities, "id"); got != "PPRIO01 PPRIO02" {
		t.Errorf("got %s", got)
	}
}

// A connector that believes the first hit approves the wrong person here.
func TestAQueryIsASubstringOfNameOrAddress(t *testing.T) {
	t.Parallel()
	s := account()
	for query, want := range map[string]string{
		"e.doe@acme.example":     "PDOE001 PDOE002 PDOE003",
		"E.DOE@ACME.EXAMPLE":     "PDOE001 PDOE002 PDOE003",
		"ellie.doe@acme.example": "PDOE002",
		"erin":                   "PDOE001",
		"nobody":                 "",
		"":                       "PDOE001 PDOE002 PDOE003",
	} {
		if got := show(get(t, s, "/users?query="+query).Users, "id"); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
	s.RemoveUser("PDOE002")
	if got := show(get(t, s, "/users?query=ellie").Users, "id"); got != "" {
		t.Errorf("a deleted user is listed: %s", got)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := &pagerduty.Server{APIKey: "key"}
	for i := range 26 {
		s.AddUser(pagerduty.User{ID: fmt.Sprintf("P%06d", i), Email: fmt.Sprintf("u%d@acme.example", i)})
	}
	for query, want := range map[string]string{
		"":                    "25 of 25 from 0, more true",
		"?limit=100":          "26 of 100 from 0, more false",
		"?limit=26":           "26 of 26 from 0, more false",
		"?limit=10&offset=10": "10 of 10 from 10, more true",
		"?limit=10&offset=20": "6 of 10 from 20, more false",
		"?offset=26":          "0 of 25 from 26, more false",
		"?offset=500":         "0 of 25 from 500, more false",
	} {
		a := get(t, s, "/users"+query)
		got := fmt.Sprintf("%d of %d from %d, more %t", len(a.Users), a.Limit, a.Offset, a.More)
		if got != want || a.Users == nil || a.Total != nil {
			t.Errorf("%s: got %s, total %v, want %s", query, got, a.Total, want)
		}
	}
}

func TestOnCallsAreThoseOfNowAtEveryLevel(t *testing.T) {
	t.Parallel()
	s := account()
	rota := &pagerduty.Reference{ID: "PSCHED1", Name: "Rota"}
	entry := func(level int, from, to *time.Time) pagerduty.OnCall {
		return pagerduty.OnCall{UserID: "PDOE001", EscalationPolicy: policy(), Schedule: rota, Level: level, Start: from, End: to}
	}
	permanent := entry(5, nil, nil)
	permanent.UserID, permanent.Schedule = "PDOE002", nil
	shifts := entry(6, at(0), at(time.Hour))
	shifts.ShiftBased, shifts.EscalationPolicy.ID = true, "PPOL002"
	s.AddOnCall(
		entry(1, at(-time.Hour), at(time.Hour)), entry(2, at(-time.Hour), at(0)), entry(3, at(0), at(time.Second)),
		entry(4, at(time.Second), at(time.Hour)), permanent, shifts,
	)
	for query, want := range map[string]string{
		"": "1 3 5 6",
		"?user_ids[]=PDOE001&escalation_policy_ids[]=PPOL001": "1 3",
		"?user_ids[]=PDOE002":                             "5",
		"?user_ids[]=PDOE002&user_ids[]=PDOE003":          "5",
		"?escalation_policy_ids[]=PPOL002":                "6",
		"?schedule_ids[]=PSCHED1":                         "1 3 6",
		"?schedule_ids[]=null":                            "5",
		"?schedule_ids[]=PSCHED9":                         "",
		"?escalation_policy_ids[]=PPOL001&limit=1":        "1",
		"?user_ids[]=PDOE001&schedule_ids[]=null&limit=1": "",
	} {
		if got := show(get(t, s, "/oncalls"+query).OnCalls, "escalation_level"); got != want {
			t.Errorf("%s: got levels %s, want %s", query, got, want)
		}
	}
	forever := get(t, s, "/oncalls?user_ids[]=PDOE002").OnCalls[0]
	for _, member := range []string{"schedule", "start", "end"} {
		if value, there := forever[member]; !there || value != nil {
			t.Errorf("a permanent entry has %s %v, want null", member, value)
		}
	}
	schedule, _ := get(t, s, "/oncalls?escalation_policy_ids[]=PPOL002").OnCalls[0]["schedule"].(map[string]any)
	if schedule["type"] != "schedule_v3_reference" {
		t.Errorf("a shift-based schedule is %v", schedule)
	}
	s.SetOnCalls()
	if a := get(t, s, "/oncalls"); a.OnCalls == nil || len(a.OnCalls) != 0 {
		t.Errorf("nobody is on call, got %v", a.OnCalls)
	}
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	s := account()
	incident := func(number int, age time.Duration, change func(*pagerduty.Incident)) {
		i := pagerduty.Incident{
			Number: number, Service: pagerduty.Reference{ID: "PSVC001"}, Assignees: []string{"PDOE001"}, CreatedAt: noon().Add(-age), OpenedBy: "PDOE002",
		}
		change(&i)
		s.AddIncident(i)
	}
	incident(1, time.Hour, func(*pagerduty.Incident) {})
	incident(2, time.Hour, func(i *pagerduty.Incident) { i.Status, i.Urgency = "acknowledged", "low" })
	incident(3, time.Hour, func(i *pagerduty.Incident) { i.Status = "resolved" })
	incident(4, 31*24*time.Hour, func(*pagerduty.Incident) {})
	incident(5, time.Hour, func(i *pagerduty.Incident) { i.Service.ID, i.Assignees = "PSVC002", []string{"PDOE002"} })
	for query, want := range map[string]string{
		"":                                   "1 2 3 5",
		"?date_range=all":                    "1 2 3 4 5",
		"?statuses[]=resolved":               "3",
		"?user_ids[]=PDOE001":                "1 2",
		"?user_ids[]=PDOE001&date_range=all": "1 2 4",
		"?user_ids[]=PDOE001&statuses[]=resolved":           "",
		"?user_ids[]=PDOE001&user_ids[]=PDOE002":            "1 2 5",
		"?user_ids[]=PDOE003":                               "",
		"?service_ids[]=PSVC002":                            "5",
		"?urgencies[]=low":                                  "2",
		"?statuses[]=triggered&statuses[]=acknowledged":     "1 2 5",
		"?user_ids[]=PDOE001&urgencies[]=high&limit=1":      "1",
		"?user_ids[]=PDOE001&service_ids[]=PSVC002&limit=1": "",
	} {
		if got := show(get(t, s, "/incidents"+query).Incidents, "incident_number"); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]any{"?limit=1": nil, "?limit=1&include[]=first_trigger_log_entries": "PDOE002"} {
		first, _ := get(t, s, "/incidents"+query).Incidents[0]["first_trigger_log_entry"].(map[string]any)
		agent, _ := first["agent"].(map[string]any)
		if diff := cmp.Diff(want, agent["id"]); diff != "" {
			t.Errorf("%s: who opened it: %s", query, diff)
		}
	}
}

func TestSingleObjects(t *testing.T) {
	t.Parallel()
	s := account()
	if got := get(t, s, "/users/PDOE001").User["email"]; got != "E.Doe@acme.example" {
		t.Errorf("got address %v", got)
	}
	got, _ := get(t, s, "/services/PSVC001").Service["escalation_policy"].(map[string]any)
	if got["id"] != "PPOL001" {
		t.Errorf("got policy %v", got)
	}
}

func TestALimitIsToldInPagerDutysOwnHeader(t *testing.T) {
	t.Parallel()
	s := account()
	s.SetFault(pagerduty.RateLimited("30"))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, request(t, "/users"))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("ratelimit-reset") != "30" || w.Header().Get("Retry-After") != "" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}

func TestRequestsAreRemembered(t *testing.T) {
	t.Parallel()
	s := account()
	get(t, s, "/users?query=a%2Bb%40acme.example")
	if diff := cmp.Diff([]string{"GET /users?query=a+b@acme.example"}, s.Requests()); diff != "" {
		t.Error(diff)
	}
}
