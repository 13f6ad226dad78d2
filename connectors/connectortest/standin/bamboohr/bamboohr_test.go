package bamboohr_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest/standin/bamboohr"
)

const dataset = "/api/v2/datasets/employee/data"

// company has an owner of the key (1), Erin (42), somebody whose fields are partly hidden (43) and somebody
// who is hidden altogether (44).
func company() *bamboohr.Server {
	s := &bamboohr.Server{APIKey: "key", Owner: "1"}
	s.AddEmployee(
		bamboohr.Employee{ID: "1", Fields: map[string]any{"status": "Active", "workEmail": "hr@acme.example"}},
		bamboohr.Employee{ID: "42", Fields: map[string]any{"status": "Active", "workEmail": "e.doe@acme.example", "terminationDate": nil}},
		bamboohr.Employee{ID: "43", Fields: map[string]any{"status": "Inactive", "workEmail": "x@acme.example"}, Hidden: []string{"status"}},
		bamboohr.Employee{ID: "44", Fields: map[string]any{"status": "Active"}, Invisible: true},
	)
	return s
}

// request is a good one; a body makes it a POST.
func request(t *testing.T, target, body string) *http.Request {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.SetBasicAuth("key", "x")
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func send(s *bamboohr.Server, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// read fails the test unless the answer is 200 and JSON of this form.
func read[T any](t *testing.T, s *bamboohr.Server, r *http.Request) T {
	t.Helper()
	w := send(s, r)
	var answer T
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s %v", r.URL, w.Code, w.Body, err)
	}
	return answer
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"no key":           func(r *http.Request) { r.Header.Del("Authorization") },
		"another key":      func(r *http.Request) { r.SetBasicAuth("other", "x") },
		"key as password":  func(r *http.Request) { r.SetBasicAuth("x", "key") },
		"key as a token":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer key") },
		"key without form": func(r *http.Request) { r.Header.Set("Authorization", "key") },
	} {
		r := request(t, "/api/v1/employees/42?fields=status", "")
		change(r)
		if w := send(company(), r); w.Code != http.StatusUnauthorized || w.Body.Len() != 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	r := request(t, "/api/v1/employees/42?fields=status", "")
	r.SetBasicAuth("", "x")
	if w := send(&bamboohr.Server{}, r); w.Code != http.StatusUnauthorized {
		t.Errorf("a company without a key: %d", w.Code)
	}
}

func TestXMLUnlessJSONIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{"", "*/*", "application/xml"} {
		r := request(t, "/api/v1/employees/42?fields=status", "")
		r.Header.Set("Accept", accept)
		if w := send(company(), r); w.Header().Get("Content-Type") != "application/xml" || !strings.HasPrefix(w.Body.String(), "<") {
			t.Errorf("Accept %q: %s", accept, w.Body)
		}
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := company()
	many := func(n int) string { return "/api/v1/employees/42?fields=status" + strings.Repeat(",status", n-1) }
	for target, want := range map[string]int{
		many(400):                            http.StatusOK,
		many(401):                            http.StatusBadRequest,
		"/api/v1/employees/42?field=status":  http.StatusBadRequest,
		"/api/v1/employees/7?fields=status":  http.StatusNotFound,
		"/api/v1/employees/44?fields=status": http.StatusForbidden,
		"/api/v1/employees":                  http.StatusNotFound,
		"/api/v1/nonsense":                   http.StatusNotFound,
		dataset:                              http.StatusNotFound,
		"/api/v1/time_off/requests?start=2026-11-23&end=2026-11-23":                            http.StatusOK,
		"/api/v1/time_off/requests":                                                            http.StatusBadRequest,
		"/api/v1/time_off/requests?start=2026-11-23":                                           http.StatusBadRequest,
		"/api/v1/time_off/requests?end=2026-11-23":                                             http.StatusBadRequest,
		"/api/v1/time_off/requests?start=2026-11-23T00:00:00Z&end=2026-11-23":                  http.StatusBadRequest,
		"/api/v1/time_off/requests?start=2026-11-31&end=2026-12-01":                            http.StatusBadRequest,
		"/api/v1/time_off/requests?start=2026-11-23&end=2026-11-23&employee=42":                http.StatusBadRequest,
		"/api/v1/time_off/requests?start=2026-11-23&end=2026-11-23&status=taken":               http.StatusBadRequest,
		"/api/v1/time_off/requests?start=2026-11-23&end=2026-11-23&status=approved,superceded": http.StatusOK,
		"/api/v1/time_off/whos_out?employeeId=42":                                              http.StatusBadRequest,
		"/api/v1_1/employees/42/time_off/policies":                                             http.StatusOK,
		"/api/v1_1/employees/42/time_off/policies?id=1":                                        http.StatusBadRequest,
		"/api/v1_1/employees/44/time_off/policies":                                             http.StatusForbidden,
		"/api/v1/employees/42/time_off/policies":                                               http.StatusNotFound,
	} {
		w := send(s, request(t, target, ""))
		reason := w.Header().Get("X-BambooHR-Error-Message")
		if w.Code != want || (want == http.StatusOK) == (reason != "") {
			t.Errorf("%s: got %d %q, want %d", target, w.Code, reason, want)
		}
	}
	if w := send(s, request(t, "/api/v1/employees/42", "{}")); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("writing: %d", w.Code)
	}
}

func TestARecordLeavesOutWhatMayNotBeViewed(t *testing.T) {
	t.Parallel()
	s := company()
	const asked = "?fields=status,workEmail,terminationDate,nonsense"
	for id, want := range map[string]map[string]any{
		"42": {"id": "42", "status": "Active", "workEmail": "e.doe@acme.example", "terminationDate": nil},
		"43": {"id": "43", "workEmail": "x@acme.example"},
		"0":  {"id": "1", "status": "Active", "workEmail": "hr@acme.example"},
	} {
		got := read[map[string]any](t, s, request(t, "/api/v1/employees/"+id+asked, ""))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	got := read[map[string]any](t, s, request(t, "/api/v1/employees/42", ""))
	if diff := cmp.Diff(map[string]any{"id": "42"}, got); diff != "" {
		t.Errorf("no field was asked for: %s", diff)
	}
	s.Owner = ""
	got = read[map[string]any](t, s, request(t, "/api/v1/employees/0"+asked, ""))
	if diff := cmp.Diff(map[string]any{"id": "0"}, got); diff != "" {
		t.Errorf("a key of nobody: %s", diff)
	}
}

func TestTimeOff(t *testing.T) {
	t.Parallel()
	s := company()
	s.SetEmployee(bamboohr.Employee{ID: "43", HideTimeOff: true})
	s.AddTimeOff(
		bamboohr.TimeOff{EmployeeID: "42", Start: "2026-11-20", End: "2026-11-23"},
		bamboohr.TimeOff{EmployeeID: "42", Start: "2026-11-23", End: "2026-11-30", Status: "requested"},
		bamboohr.TimeOff{EmployeeID: "42", Start: "2026-11-24", End: "2026-11-30"},
		bamboohr.TimeOff{EmployeeID: "42", Start: "2026-11-01", End: "2026-11-22"},
		bamboohr.TimeOff{EmployeeID: "1", Start: "2026-11-23", End: "2026-11-23"},
		bamboohr.TimeOff{EmployeeID: "43", Start: "2026-11-23", End: "2026-11-23"},
		bamboohr.TimeOff{Start: "2026-11-23", End: "2026-11-23", Holiday: true},
	)
	const today = "?start=2026-11-23&end=2026-11-23"
	for target, want := range map[string]string{
		"/requests" + today:                                              "1 2 5",
		"/requests" + today + "&employeeId=42":                           "1 2",
		"/requests" + today + "&employeeId=42&status=approved":           "1",
		"/requests" + today + "&employeeId=42&status=denied,requested":   "2",
		"/requests" + today + "&employeeId=43":                           "",
		"/requests?start=2026-11-22&end=2026-11-24&employeeId=42":        "1 2 3 4",
		"/requests?start=2026-12-01&end=2026-12-31":                      "",
		"/whos_out" + today:                                              "1 5 7",
		"/whos_out" + today + "&filter=off":                              "1 5 7",
		"/whos_out":                                                      "1 3 4 5 7",
		"/requests?start=2026-11-24&end=2026-11-24&status=":              "2 3",
		"/requests?start=2026-11-24&end=2026-11-24&status=approved":      "3",
		"/requests?start=2026-11-24&end=2026-11-24&employeeId=":          "2 3",
		"/requests?start=2026-11-24&end=2026-11-24&employeeId=nonsense":  "",
		"/requests?start=2026-11-01&end=2026-11-19&status=approved":      "4",
		"/requests?start=2026-11-01&end=2026-11-20&employeeId=42&status": "1 4",
	} {
		var got []string
		for _, r := range read[[]map[string]any](t, s, request(t, "/api/v1/time_off"+target, "")) {
			got = append(got, fmt.Sprint(r["id"]))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
	if w := send(s, request(t, "/api/v1/time_off/requests"+today+"&employeeId=43", "")); strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("hidden time off is %s, want an empty list", w.Body)
	}
	if w := send(s, request(t, "/api/v1_1/employees/43/time_off/policies", "")); w.Code != http.StatusForbidden {
		t.Errorf("hidden policies: %d", w.Code)
	}
}

func TestDatasetsThatAreRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`{"fields":["eeid"]}`: http.StatusOK,
		`{"fields":["eeid"],"pageSize":1000,"orderBy":"eeid asc"}`:     http.StatusOK,
		`{"fields":["eeid"],"pageSize":1001}`:                          http.StatusUnprocessableEntity,
		`{"fields":["eeid"],"pageSize":0}`:                             http.StatusUnprocessableEntity,
		`{"fields":["eeid"],"page":0}`:                                 http.StatusUnprocessableEntity,
		`{"fields":["eeid"],"filter":"email eq 'e.doe@acme.example'"}`: http.StatusUnprocessableEntity,
		`{"fields":["workEmail"]}`:                                     http.StatusBadRequest,
		`{"fields":[]}`:                                                http.StatusBadRequest,
		`{}`:                                                           http.StatusBadRequest,
		`{"fields":["eeid"],"orderBy":"email asc"}`:                    http.StatusBadRequest,
		`{"fields":["eeid"],"size":5}`:                                 http.StatusBadRequest,
		`nonsense`:                                                     http.StatusBadRequest,
	} {
		w := send(company(), request(t, dataset, body))
		if w.Code != want || (want != http.StatusOK) != (w.Header().Get("Content-Type") == "application/problem+json") {
			t.Errorf("%s: got %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
	form := request(t, dataset, `{"fields":["eeid"]}`)
	form.Header.Set("Content-Type", "text/plain")
	if w := send(company(), form); w.Code != http.StatusBadRequest {
		t.Errorf("another content type: %d", w.Code)
	}
	if w := send(company(), request(t, "/api/v1/datasets/employee/data", `{"fields":["eeid"]}`)); w.Code == http.StatusOK {
		t.Error("the first version of datasets is answered")
	}
}

type page struct {
	Data []struct {
		Fields     map[string]any `json:"fields"`
		Restricted []string       `json:"_restrictedFields"`
	} `json:"data"`
	Links map[string]any `json:"links"`
	Meta  struct {
		Page       int `json:"page"`
		TotalPages int `json:"totalPages"`
		TotalItems int `json:"totalItems"`
	} `json:"meta"`
}

func TestADatasetComesInPages(t *testing.T) {
	t.Parallel()
	s := company()
	for n, want := range map[int]string{1: "[1 42] of 3 on 2 pages, next true", 2: "[43] of 3 on 2 pages, next false", 3: "[] of 3 on 2 pages, next false"} {
		p := read[page](t, s, request(t, dataset, fmt.Sprintf(`{"fields":["eeid"],"page":%d,"pageSize":2}`, n)))
		ids := []any{}
		for _, row := range p.Data {
			ids = append(ids, row.Fields["eeid"])
		}
		got := fmt.Sprintf("%v of %d on %d pages, next %t", ids, p.Meta.TotalItems, p.Meta.TotalPages, p.Links["next"] != nil)
		if got != want {
			t.Errorf("page %d: got %s, want %s", n, got, want)
		}
	}
}

func TestADatasetNamesWhatMayNotBeViewed(t *testing.T) {
	t.Parallel()
	p := read[page](t, company(), request(t, dataset, `{"fields":["eeid","status","email"]}`))
	last := p.Data[len(p.Data)-1]
	if diff := cmp.Diff(map[string]any{"eeid": "43", "status": "", "email": "x@acme.example"}, last.Fields); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"status"}, last.Restricted); diff != "" {
		t.Error(diff)
	}
}

func TestALimitSaysWhenToAskAgain(t *testing.T) {
	t.Parallel()
	s := company()
	s.SetFault(bamboohr.RateLimited("30"))
	w := send(s, request(t, dataset, `{"fields":["eeid"]}`))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "30" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}

func TestRequestsAreRemembered(t *testing.T) {
	t.Parallel()
	s := company()
	send(s, request(t, "/api/v1/employees/42?fields=a,b", ""))
	s.RemoveEmployee("42")
	if w := send(s, request(t, "/api/v1/employees/42", "")); w.Code != http.StatusNotFound {
		t.Errorf("a deleted record: %d", w.Code)
	}
	want := []string{"GET /api/v1/employees/42?fields=a,b", "GET /api/v1/employees/42?"}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Error(diff)
	}
}
