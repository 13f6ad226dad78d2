package entra_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/entra"
)

func TestRefusesClaims(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	tests := map[string]struct {
		base  string
		edits object
		want  string
	}{
		"T6 another tenant":                    {"bad_other_tenant", nil, "iss is not the issuer of the tenant for this version"},
		"T6 another tid":                       {"v2", object{"tid": otherTenant}, "tid is not the tenant"},
		"T6 no tid":                            {"v2", object{"tid": remove{}}, "tid is not the tenant"},
		"T6 tid in capitals":                   {"v2", object{"tid": strings.ToUpper(tenantID)}, "tid is not the tenant"},
		"T6 another issuer":                    {"v2", object{"iss": issuer2(otherTenant)}, "iss is not the issuer of the tenant for this version"},
		"T6 the placeholder":                   {"v2", object{"iss": issuer2("{tenantid}")}, "iss is not the issuer of the tenant for this version"},
		"T6 common":                            {"v2", object{"iss": issuer2("common")}, "iss is not the issuer of the tenant for this version"},
		"T6 a slash more":                      {"v2", object{"iss": issuer2(tenantID) + "/"}, "iss is not the issuer of the tenant for this version"},
		"T6 no issuer":                         {"v2", object{"iss": remove{}}, "iss is not the issuer of the tenant for this version"},
		"T6 issuer in a list":                  {"v2", object{"iss": []string{issuer2(tenantID)}}, "iss is not a string"},
		"T7 version 1 with the claims of 2":    {"bad_version_1_with_azp", nil, "iss is not the issuer of the tenant for this version"},
		"T7 version 2 with the claims of 1":    {"v1", object{"ver": "2.0"}, "iss is not the issuer of the tenant for this version"},
		"T7 version 1 with azp alone":          {"v1", object{"appid": remove{}, "azp": entra.PIM}, "the claim for the caller is missing"},
		"T7 version 2 with appid alone":        {"v2", object{"azp": remove{}, "appid": entra.PIM}, "the claim for the caller is missing"},
		"T7 callers that differ, version 1":    {"v1", object{"azp": authEvents}, "appid and azp differ"},
		"T7 callers that differ, version 2":    {"v2", object{"appid": authEvents}, "appid and azp differ"},
		"T7 no version":                        {"v2", object{"ver": remove{}}, "ver is neither 1.0 nor 2.0"},
		"T7 version 3":                         {"v2", object{"ver": "3.0"}, "ver is neither 1.0 nor 2.0"},
		"T7 version as a number":               {"v2", object{"ver": 2.0}, "ver is not a string"},
		"T7 version without its zero":          {"v2", object{"ver": "2"}, "ver is neither 1.0 nor 2.0"},
		"T8 another audience":                  {"v2", object{"aud": entra.PIM}, "aud is not this application"},
		"T8 the application id URI, version 2": {"v2", object{"aud": appIDURI}, "aud is not this application"},
		"T8 audience in a list":                {"v2", object{"aud": []string{clientID}}, "aud is not a string"},
		"T8 audience in a list with another":   {"v2", object{"aud": []string{clientID, "x"}}, "aud is not a string"},
		"T8 audience in capitals":              {"v2", object{"aud": strings.ToUpper(clientID)}, "aud is not this application"},
		"T8 audience with a slash":             {"v1", object{"aud": appIDURI + "/"}, "aud is not this application"},
		"T8 audience in another case":          {"v1", object{"aud": strings.ToUpper(appIDURI)}, "aud is not this application"},
		"T8 no audience":                       {"v1", object{"aud": remove{}}, "aud is not this application"},
		"T8 an empty audience":                 {"v1", object{"aud": ""}, "aud is not this application"},
		"T8 audience null":                     {"v1", object{"aud": nil}, "aud is not a string"},
		"T8 audience with NUL":                 {"v1", object{"aud": appIDURI + "\x00"}, "aud is not this application"},
		"T9 the authentication events service": {"bad_other_application", nil, "caller is not allowed"},
		"T9 Microsoft Graph":                   {"v2", object{"azp": "00000003-0000-0000-c000-000000000000"}, "caller is not allowed"},
		"T9 the gateway itself":                {"v2", object{"azp": clientID}, "caller is not allowed"},
		"T9 the Azure command line":            {"v1", object{"appid": "04b07795-8ddb-461a-bbee-02f9e1bf7b46"}, "caller is not allowed"},
		"T9 PIM in capitals":                   {"v2", object{"azp": strings.ToUpper(entra.PIM)}, "caller is not allowed"},
		"T9 caller in a list":                  {"v2", object{"azp": []string{entra.PIM}}, "azp is not a string"},
		"T9 caller a number":                   {"v2", object{"azp": 1}, "azp is not a string"},
		"T9 caller null":                       {"v2", object{"azp": nil}, "azp is not a string"},
		"T9 no caller":                         {"v2", object{"azp": remove{}}, "the claim for the caller is missing"},
		"T9 a user":                            {"bad_user", nil, "scp is present: the token acts for a user"},
		"T9 scp empty":                         {"v2", object{"scp": ""}, "scp is present: the token acts for a user"},
		"T9 scp null":                          {"v2", object{"scp": nil}, "scp is present: the token acts for a user"},
		"T9 idtyp user":                        {"v2", object{"idtyp": "user"}, "idtyp is not app"},
		"T9 idtyp null":                        {"v2", object{"idtyp": nil}, "idtyp is not app"},
		"T9 oid a number":                      {"v2", object{"oid": 1}, "oid is not a string"},
		"T10 no exp":                           {"v2", object{"exp": remove{}}, "exp is missing or not a time in whole seconds"},
		"T10 exp null":                         {"v2", object{"exp": nil}, "exp is missing or not a time in whole seconds"},
		"T10 exp as text":                      {"v2", object{"exp": "1790004200"}, "exp is missing or not a time in whole seconds"},
		"T10 exp with a fraction":              {"v2", object{"exp": json.RawMessage("1790004200.5")}, "exp is missing or not a time in whole seconds"},
		"T10 exp with an exponent":             {"v2", object{"exp": json.RawMessage("1e300")}, "exp is missing or not a time in whole seconds"},
		"T10 exp beyond 64 bits":               {"v2", object{"exp": json.RawMessage("99999999999999999999")}, "exp is missing or not a time in whole seconds"},
		"T10 exp at the end of 64 bits":        {"v2", object{"exp": json.RawMessage("9223372036854775807")}, "exp is missing or not a time in whole seconds"},
		"T10 exp negative":                     {"v2", object{"exp": -1}, "exp is missing or not a time in whole seconds"},
		"T10 no nbf":                           {"v2", object{"nbf": remove{}}, "nbf is missing or not a time in whole seconds"},
		"T10 nbf as text":                      {"v2", object{"nbf": "0"}, "nbf is missing or not a time in whole seconds"},
		"T10 no iat":                           {"v2", object{"iat": remove{}}, "iat is missing or not a time in whole seconds"},
		"T10 a lifetime of a day and a second": {"v2", object{"exp": issuedAt + 86401}, "lifetime is not between 0 and 24 hours"},
		"T10 a lifetime of ages":               {"v2", object{"exp": 253402300799}, "lifetime is not between 0 and 24 hours"},
		"T10 no lifetime":                      {"v2", object{"exp": issuedAt}, "lifetime is not between 0 and 24 hours"},
		"T10 exp before iat":                   {"v2", object{"exp": issuedAt - 5}, "lifetime is not between 0 and 24 hours"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := verify(t, v, bearer(mint(header(), claims(t, test.base).with(test.edits))))
			if r == nil || r.Why != test.want {
				t.Errorf("got %v, want %s", r, test.want)
			}
		})
	}
}

// T14: a name that another reader would take for a claim makes the token worthless, and never counts.
func TestRefusesAmbiguousClaims(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	good := strings.TrimSuffix(claims(t, "v2").json(), "}")
	without := strings.TrimSuffix(claims(t, "v2").with(object{"azp": remove{}}).json(), "}")
	for name, text := range map[string]string{
		"T14 azp twice":          good + `,"azp":"` + authEvents + `"}`,
		"T14 azp twice, equal":   good + `,"azp":"` + entra.PIM + `"}`,
		"T14 azp and AZP":        good + `,"AZP":"x"}`,
		"T14 AZP alone":          without + `,"AZP":"` + entra.PIM + `"}`,
		"T14 azp escaped twice":  good + `,"\u0061zp":"x"}`,
		"T14 iss with a long s":  good + `,"iſs":"x"}`,
		"T14 deep duplicates":    good + `,"x":{"y":1,"y":2}}`,
		"T14 name with NUL":      without + `,"azp\u0000":"` + entra.PIM + `"}`,
		"T14 more than 256":      good + strings.Repeat(`,"x":[0`+strings.Repeat(",0", 256)+`]`, 1) + "}",
		"T14 invalid UTF-8":      good + ",\"x\":\"\xff\"}",
		"T14 a lone surrogate":   good + `,"x":"\ud800"}`,
		"T14 azp in an object":   without + `,"x":{"azp":"` + entra.PIM + `"}}`,
		"T14 claims in an array": "[" + good + "}]",
	} {
		if r := verify(t, v, bearer(sign(header().json(), text))); r == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if r := verify(t, v, bearer(sign(header().json(), good+`,"x":{"azp":"other","exp":1}}`))); r != nil {
		t.Errorf("members of members count: %v", r)
	}
}

// T7: of all combinations of version, issuer, audience and caller exactly those that Entra issues pass.
func TestClosedTable(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	type callers struct{ appid, azp string }
	allowed := map[string]bool{}
	for _, version := range []string{"1.0", "2.0"} {
		own := map[string]callers{"1.0": {entra.PIM, ""}, "2.0": {"", entra.PIM}}[version]
		issuer := map[string]string{"1.0": issuer1(tenantID), "2.0": issuer2(tenantID)}[version]
		for _, caller := range []callers{own, {entra.PIM, entra.PIM}} {
			allowed[fmt.Sprint(version, issuer, clientID, caller)] = true
			if version == "1.0" {
				allowed[fmt.Sprint(version, issuer, appIDURI, caller)] = true
			}
		}
	}
	ids := []string{"", entra.PIM, authEvents}
	tried, passed := 0, 0
	for _, version := range []string{"1.0", "2.0", "", "3.0"} {
		for _, issuer := range []string{issuer1(tenantID), issuer2(tenantID), issuer1(otherTenant), issuer2(otherTenant), strings.TrimSuffix(issuer2(tenantID), "v2.0")} {
			for _, audience := range []string{clientID, appIDURI, entra.PIM, appIDURI + "/", ""} {
				for i := range len(ids) * len(ids) {
					caller := callers{ids[i%len(ids)], ids[i/len(ids)]}
					c := claims(t, "v2").with(object{"ver": version, "iss": issuer, "aud": audience, "appid": caller.appid, "azp": caller.azp})
					for name, value := range map[string]string{"appid": caller.appid, "azp": caller.azp} {
						if value == "" {
							delete(c, name)
						}
					}
					tried++
					got := verify(t, v, bearer(mint(header(), c))) == nil
					if got {
						passed++
					}
					if want := allowed[fmt.Sprint(version, issuer, audience, caller)]; got != want {
						t.Errorf("ver %s, iss %s, aud %s, callers %v: accepted %v, want %v", version, issuer, audience, caller, got, want)
					}
				}
			}
		}
	}
	if tried != 4*5*5*9 || passed != 6 {
		t.Errorf("%d of %d passed, want 6 of 900", passed, tried)
	}
}

func TestWithoutApplicationIDURIOnlyTheClientIDCounts(t *testing.T) {
	t.Parallel()
	s := newTenant(t, tenantID).settings()
	s.AppIDURI = ""
	v := start(t, s)
	if r := verify(t, v, bearer(mint(header(), claims(t, "v1_client_id")))); r != nil {
		t.Error(r)
	}
	for _, audience := range []any{appIDURI, "", remove{}} {
		if verify(t, v, bearer(mint(header(), claims(t, "v1").with(object{"aud": audience})))) == nil {
			t.Errorf("audience %v: accepted", audience)
		}
	}
}

func TestCallersReplacePIM(t *testing.T) {
	t.Parallel()
	s := newTenant(t, tenantID).settings()
	s.Callers = []string{strings.ToUpper(authEvents)}
	v := start(t, s)
	if r := verify(t, v, bearer(mint(header(), claims(t, "bad_other_application")))); r != nil {
		t.Error(r)
	}
	if verify(t, v, bearer(mint(header(), claims(t, "v2")))) == nil {
		t.Error("PIM is still allowed")
	}
}

// T10: every bound is met to the second.
func TestTimes(t *testing.T) {
	t.Parallel()
	const leeway = 120
	e := newTenant(t, tenantID)
	now := time.Unix(issuedAt, 0)
	s := e.settings()
	s.Now = func() time.Time { return now }
	v := start(t, s)
	for name, test := range map[string]struct {
		iat, nbf, exp int64
		want          string
	}{
		"just issued":                    {0, 0, 3600, ""},
		"last second":                    {-3600, -3600, -leeway + 1, ""},
		"expired":                        {-3600, -3600, -leeway, "expired"},
		"expired a second ago":           {-3600, -3600, -leeway - 1, "expired"},
		"first second":                   {0, leeway, 3600, ""},
		"not yet":                        {0, leeway + 1, 3600, "not valid yet"},
		"issued by a fast clock":         {leeway, 0, 3600, ""},
		"issued by a too fast clock":     {leeway + 1, 0, 3600, "issued in the future"},
		"a lifetime of exactly a day":    {-60, -60, 86400 - 60, ""},
		"a lifetime of a second":         {0, 0, 1, ""},
		"valid before it was issued":     {0, -3600, 3600, ""},
		"a day and a second, fast clock": {leeway, 0, 86400 + leeway + 1, "lifetime is not between 0 and 24 hours"},
	} {
		c := claims(t, "v2").with(object{"iat": issuedAt + test.iat, "nbf": issuedAt + test.nbf, "exp": issuedAt + test.exp})
		why := ""
		if r := verify(t, v, bearer(mint(header(), c))); r != nil {
			why = r.Why
		}
		if why != test.want {
			t.Errorf("%s: %q, want %q", name, why, test.want)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	e := newTenant(t, tenantID)
	for name, edit := range map[string]func(*entra.Settings){
		"no tenant":             func(s *entra.Settings) { s.TenantID = "" },
		"a tenant name":         func(s *entra.Settings) { s.TenantID = "fabrikam.example" },
		"common":                func(s *entra.Settings) { s.TenantID = "common" },
		"no client":             func(s *entra.Settings) { s.ClientID = "" },
		"a caller that is none": func(s *entra.Settings) { s.Callers = []string{entra.PIM, "x"} },
		"a long leeway":         func(s *entra.Settings) { s.Leeway = 301 * time.Second },
		"a negative leeway":     func(s *entra.Settings) { s.Leeway = -1 },
		"http elsewhere":        func(s *entra.Settings) { s.Authority = "http://login.microsoftonline.com" },
		"no address":            func(s *entra.Settings) { s.Authority = "login.microsoftonline.com" },
		"a user in the address": func(s *entra.Settings) { s.Authority = "https://u:p@login.microsoftonline.com" },
		"a query":               func(s *entra.Settings) { s.Authority = "https://login.microsoftonline.com/?x" },
		"a missing CA file":     func(s *entra.Settings) { s.CAFile = "testdata/none.pem" },
		"a CA file without CA":  func(s *entra.Settings) { s.CAFile = "testdata/claims/v1.json" },
	} {
		s := e.settings()
		edit(&s)
		if v, err := entra.New(t.Context(), s); err == nil {
			t.Errorf("%s: started", name)
			_ = v.Close()
		}
	}
	s := e.settings()
	s.TenantID, s.ClientID, s.Authority = strings.ToUpper(tenantID), strings.ToUpper(clientID), e.address+"/"
	if r := verify(t, start(t, s), bearer(mint(header(), claims(t, "v2")))); r != nil {
		t.Errorf("identifiers in capitals: %v", r)
	}
}
