package servicenow_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest/standin/servicenow"
)

// instance has three changes, one of them approved, and counts as the far end of a careless connector.
func instance(t *testing.T) (*servicenow.Server, *httptest.Server) {
	t.Helper()
	s := servicenow.New()
	s.Username, s.Password = "u", "p"
	ada := s.Insert("sys_user", map[string]string{"name": "Ada", "email": "ada@example.com"})
	s.Insert("change_request", map[string]string{"number": "CHG1", "approval": "requested", "requested_by": ada, "start_date": "2026-11-23 06:00:00"})
	s.Insert("change_request", map[string]string{"number": "CHG2", "approval": "approved"})
	s.Insert("change_request", map[string]string{"number": "CHG3", "approval": "rejected"})
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	return s, front
}

func get(t *testing.T, front *httptest.Server, table string, query url.Values) []map[string]any {
	t.Helper()
	status, body := raw(t, front, table+"?"+query.Encode(), "application/json")
	var answer struct {
		Result []map[string]any `json:"result"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	return answer.Result
}

func raw(t *testing.T, front *httptest.Server, path, accept string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+"/api/now/v2/table/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.SetBasicAuth("u", "p")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// TestQueriesCanBeInjectedInto is the proof that a connector that does not guard its query is caught.
func TestQueriesCanBeInjectedInto(t *testing.T) {
	t.Parallel()
	_, front := instance(t)
	for query, want := range map[string][]string{
		"number=CHG1":                               {"CHG1"},
		"number=chg1":                               {"CHG1"},
		"number=CHG9":                               nil,
		"number=CHG9^ORapproval=approved":           {"CHG2"},
		"number=CHG9^NQapproval=approved":           {"CHG2"},
		"number=CHG1^approval=approved":             nil,
		"numbr=CHG1":                                {"CHG1", "CHG2", "CHG3"},
		"number=CHG1^nonsense":                      {"CHG1"},
		"numberISNOTEMPTY":                          {"CHG1", "CHG2", "CHG3"},
		"numberLIKE3":                               {"CHG3"},
		"number=javascript:'CHG2'":                  {"CHG2"},
		"requested_by.email=ada@example.com":        {"CHG1"},
		"requested_by=javascript:gs.getUserID()":    {"CHG1"},
		"numberSTARTSWITHCHG^ORDERBYDESCnumber":     {"CHG3", "CHG2", "CHG1"},
		"":                                          {"CHG1", "CHG2", "CHG3"},
		"numberINCHG1,CHG3":                         {"CHG1", "CHG3"},
		"approval!=approved^ORnumber=CHG2^number>1": {"CHG1", "CHG2", "CHG3"},
	} {
		var got []string
		for _, row := range get(t, front, "change_request", url.Values{"sysparm_query": {query}, "sysparm_fields": {"number"}}) {
			got = append(got, row["number"].(string))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestFieldsAndForms(t *testing.T) {
	t.Parallel()
	s, front := instance(t)
	one := func(query url.Values) map[string]any {
		t.Helper()
		query.Set("sysparm_query", "number=CHG1")
		return get(t, front, "change_request", query)[0]
	}
	got := one(url.Values{"sysparm_fields": {"number,nonsense,start_date,requested_by.email"}, "sysparm_display_value": {"all"}})
	want := map[string]any{
		"number":             map[string]any{"display_value": "CHG1", "value": "CHG1"},
		"start_date":         map[string]any{"display_value": "11/22/2026 22:00:00", "value": "2026-11-23 06:00:00"},
		"requested_by.email": map[string]any{"display_value": "ada@example.com", "value": "ada@example.com"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if reference, ok := one(url.Values{"sysparm_fields": {"requested_by"}})["requested_by"].(map[string]any); !ok || reference["link"] == nil {
		t.Errorf("a reference without its link: %v", reference)
	}
	s.HideField("task", "approval")
	if _, shown := one(url.Values{"sysparm_fields": {"number,approval"}})["approval"]; shown {
		t.Error("a hidden column is shown")
	}
	all := slices.Collect(func(yield func(string) bool) {
		for name := range one(url.Values{}) {
			if !yield(name) {
				return
			}
		}
	})
	if !slices.Contains(all, "assignment_group") {
		t.Errorf("without sysparm_fields only %v came", all)
	}
}

func TestTheLimitComesBeforeTheAccessRules(t *testing.T) {
	t.Parallel()
	s, front := instance(t)
	hidden := s.Insert("change_request", map[string]string{"number": "CHG0"})
	s.HideRow("change_request", hidden)
	if got := get(t, front, "change_request", url.Values{"sysparm_limit": {"1"}}); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s, front := instance(t)
	if status, _ := raw(t, front, "change_request", "text/csv"); status != http.StatusBadRequest {
		t.Errorf("without Accept: %d", status)
	}
	if status, body := raw(t, front, "nonsense", "application/json"); status != http.StatusBadRequest || !strings.Contains(body, "Invalid table") {
		t.Errorf("no such table: %d %s", status, body)
	}
	s.Password = "another"
	if status, body := raw(t, front, "change_request", "application/json"); status != http.StatusUnauthorized || !strings.Contains(body, "User Not Authenticated") {
		t.Errorf("wrong password: %d %s", status, body)
	}
}
