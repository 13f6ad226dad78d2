package graph_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest/standin/entraid"
	"github.com/countersign/countersign/connectors/connectortest/standin/graph"
)

const (
	tenant   = "0b7e3b1c-4c4e-4b6a-9d5e-1f2a3b4c5d6e"
	ada      = "11111111-aaaa-4bbb-8ccc-000000000001"
	resource = "https://graph.microsoft.com"
)

func post(t *testing.T, h http.Handler, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return serve(t, h, r)
}

func serve(t *testing.T, h http.Handler, r *http.Request) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Code, body
}

func TestTokensAndSelection(t *testing.T) {
	t.Parallel()
	tokens := entraid.New(tenant)
	tokens.AddClient("me", "secret")
	g := graph.New(resource, tokens)
	g.AddUser(ada, map[string]any{"mail": "ada@example.com", "accountEnabled": true, "employeeLeaveDateTime": "2027-01-01T00:00:00Z"})
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"me"}, "client_secret": {"secret"}, "scope": {resource + "/.default"}}
	status, body := post(t, tokens, "/"+tenant+"/oauth2/v2.0/token", form)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	token, _ := body["access_token"].(string)
	ask := func(token, path string) (int, map[string]any) {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		return serve(t, g, r)
	}

	_, got := ask(token, "/v1.0/users/"+ada+"?$select=id,accountEnabled,employeeLeaveDateTime")
	delete(got, "@odata.context")
	want := map[string]any{"id": ada, "accountEnabled": true, "employeeLeaveDateTime": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]int{
		"/v1.0/users/" + ada + "?$select=nonsense":                http.StatusBadRequest,
		"/v1.0/users/11111111-aaaa-4bbb-8ccc-000000000002":        http.StatusNotFound,
		"/v1.0/directoryObjects/" + ada:                           http.StatusOK,
		"/v1.0/nonsense/" + ada:                                   http.StatusBadRequest,
		"/v1.0/directoryObjects/11111111-aaaa-4bbb-8ccc-00000000": http.StatusNotFound,
	} {
		if status, body := ask(token, path); status != want {
			t.Errorf("%s: %d %v", path, status, body)
		}
	}
	tokens.Revoke()
	if status, _ := ask(token, "/v1.0/users/"+ada); status != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", status)
	}
	if status, _ := ask("", "/v1.0/users/"+ada); status != http.StatusUnauthorized {
		t.Errorf("no token: %d", status)
	}
}

func TestATokenForAnotherResource(t *testing.T) {
	t.Parallel()
	tokens := entraid.New(tenant)
	tokens.AddClient("me", "secret")
	_, body := post(t, tokens, "/"+tenant+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"me"}, "client_secret": {"secret"}, "scope": {"https://vault.azure.net/.default"},
	})
	token, _ := body["access_token"].(string)
	if !tokens.Check(token, "https://vault.azure.net") || tokens.Check(token, resource) {
		t.Error("the token admits to another resource than it was issued for")
	}
}
