package entraid_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/connectors/connectortest/standin/entraid"
)

const tenant = "0b7e3b1c-4c4e-4b6a-9d5e-1f2a3b4c5d6e"

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := entraid.New(tenant)
	s.AddClient("me", "secret")
	for name, tc := range map[string]struct {
		tenant string
		change url.Values
		status int
		code   string
	}{
		"fine":           {tenant, nil, http.StatusOK, "access_token"},
		"another tenant": {"common", nil, http.StatusBadRequest, "AADSTS90002"},
		"another grant":  {tenant, url.Values{"grant_type": {"password"}}, http.StatusBadRequest, "AADSTS70003"},
		"another client": {tenant, url.Values{"client_id": {"you"}}, http.StatusBadRequest, "AADSTS700016"},
		"another secret": {tenant, url.Values{"client_secret": {"guess"}}, http.StatusUnauthorized, "AADSTS7000215"},
		"another scope":  {tenant, url.Values{"scope": {"User.Read.All"}}, http.StatusBadRequest, "AADSTS1002012"},
	} {
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"me"}, "client_secret": {"secret"}, "scope": {"https://graph.microsoft.com/.default"},
		}
		maps.Copy(form, tc.change)
		r := httptest.NewRequest(http.MethodPost, "/"+tc.tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.code) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
