package sim_test

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/sim"
)

func startTenant(t *testing.T, o sim.TenantOptions) *sim.Tenant {
	t.Helper()
	tenant, err := sim.StartTenant(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tenant.Close(); err != nil {
			t.Error(err)
		}
	})
	return tenant
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func get(t *testing.T, url string) (reply, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, body}, nil
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	r, err := get(t, url)
	if err != nil {
		t.Fatal(err)
	}
	if r.status != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", url, r.status, r.body)
	}
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
}

type metadata struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`
}

type keySet struct {
	Keys []struct {
		Kty, Use, Kid, X5t, N, E, Issuer string
		X5c                              []string
	}
}

func TestTenantPublishesBothVersionsInMicrosoftsForm(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{ID: "aaaabbbb-0000-4ccc-9111-dddd2222eeee"})
	base := tenant.Authority() + "/" + tenant.ID()
	for name, want := range map[string]struct {
		path, issuer, keys, keyIssuer string
	}{
		"v1": {"", "https://sts.windows.net/" + tenant.ID() + "/", base + "/discovery/keys", ""},
		"v2": {"/v2.0", base + "/v2.0", base + "/discovery/v2.0/keys", base + "/v2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var document metadata
			getJSON(t, base+want.path+"/.well-known/openid-configuration", &document)
			if diff := cmp.Diff(metadata{Issuer: want.issuer, JWKSURI: want.keys}, document); diff != "" {
				t.Error(diff)
			}
			var keys keySet
			getJSON(t, document.JWKSURI, &keys)
			if len(keys.Keys) != 1 {
				t.Fatalf("%d keys, want 1", len(keys.Keys))
			}
			key := keys.Keys[0]
			if key.Issuer != want.keyIssuer || key.Kty != "RSA" || key.Use != "sig" || key.E != "AQAB" || key.Kid != tenant.Keys().KeyID() {
				t.Errorf("key %+v", key)
			}
			checkCertificate(t, key.X5c[0], key.X5t, key.N)
		})
	}
}

func checkCertificate(t *testing.T, x5c, x5t, n string) {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(x5c)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(der)
	if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != x5t {
		t.Errorf("x5t %q, thumbprint of x5c %q", x5t, got)
	}
	if got := base64.RawURLEncoding.EncodeToString(modulus(t, certificate)); got != n {
		t.Errorf("n is not the modulus of x5c")
	}
}

func TestTenantThatDoesNotListenBelongsToThePublicCloud(t *testing.T) {
	t.Parallel()
	tenant, err := sim.NewTenant(sim.TenantOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tenant.Issuer(sim.Version2), "https://login.microsoftonline.com/"+tenant.ID()+"/v2.0"; got != want {
		t.Errorf("issuer %q, want %q", got, want)
	}
	if err := tenant.Close(); err != nil {
		t.Error(err)
	}
}

func TestStrangersTenantIsNotFound(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{})
	r, err := get(t, tenant.Authority()+"/11111111-2222-4333-8444-555555555555/v2.0/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	if r.status != http.StatusBadRequest {
		t.Errorf("status %d, want 400", r.status)
	}
}

func TestRotationKeepsOlderKeysUntilTheyAreRetired(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{})
	address := tenant.Authority() + "/" + tenant.ID() + "/discovery/v2.0/keys"
	first := tenant.Keys().KeyID()
	if err := tenant.Keys().Rotate(); err != nil {
		t.Fatal(err)
	}
	second := tenant.Keys().KeyID()
	if got := keyIDs(t, address); !cmp.Equal(got, []string{first, second}) || first == second {
		t.Errorf("keys %v, want %v and %v", got, first, second)
	}
	tenant.Keys().Retire()
	if got := keyIDs(t, address); !cmp.Equal(got, []string{second}) {
		t.Errorf("keys %v, want %v", got, second)
	}
	if got := tenant.Requests(sim.KeysV2); got != 2 {
		t.Errorf("counted %d requests, want 2", got)
	}
	if got := tenant.Requests(sim.KeysV1); got != 0 {
		t.Errorf("counted %d requests of another document, want 0", got)
	}
}

func keyIDs(t *testing.T, address string) []string {
	t.Helper()
	var keys keySet
	getJSON(t, address, &keys)
	var ids []string
	for _, key := range keys.Keys {
		ids = append(ids, key.Kid)
	}
	return ids
}

func TestFaultsSpoilTheDocuments(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{})
	address := tenant.Authority() + "/" + tenant.ID() + "/discovery/keys"
	for _, c := range []struct {
		kind   sim.FaultKind
		status int
		check  func(reply) bool
	}{
		{sim.Down, 0, nil},
		{sim.Refusing, http.StatusServiceUnavailable, func(r reply) bool { return r.header.Get("Retry-After") != "" }},
		{sim.Garbage, http.StatusOK, func(r reply) bool { return !json.Valid(r.body) }},
		{sim.Empty, http.StatusOK, func(r reply) bool { return string(r.body) == `{"keys":[]}` }},
		{sim.Huge, http.StatusOK, func(r reply) bool { return json.Valid(r.body) && len(r.body) > 8<<20 }},
		{sim.Redirecting, http.StatusFound, func(r reply) bool { return r.header.Get("Location") != "" }},
	} {
		tenant.SetFault(sim.Fault{Kind: c.kind}, sim.KeysV1)
		r, err := get(t, address)
		if r.status != c.status || (c.status == 0) != (err != nil) || c.check != nil && !c.check(r) {
			t.Errorf("%s: status %d, error %v, %d bytes", c.kind, r.status, err, len(r.body))
		}
	}
	getJSON(t, tenant.Authority()+"/"+tenant.ID()+"/.well-known/openid-configuration", &metadata{})
	tenant.SetFault(sim.Fault{})
	getJSON(t, address, &keySet{})
}

func TestSlowAnswersRightly(t *testing.T) {
	t.Parallel()
	tenant, err := sim.NewTenant(sim.TenantOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tenant.SetFault(sim.Fault{Kind: sim.Slow, Delay: 20 * time.Millisecond})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+tenant.ID()+"/discovery/keys", nil)
	answer, began := httptest.NewRecorder(), time.Now()
	tenant.ServeHTTP(answer, request)
	if took := time.Since(began); answer.Code != http.StatusOK || answer.Body.Len() == 0 || took < 20*time.Millisecond {
		t.Errorf("status %d, %d bytes after %s", answer.Code, answer.Body.Len(), took)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	answer = httptest.NewRecorder()
	tenant.SetFault(sim.Fault{Kind: sim.Slow, Delay: time.Hour})
	tenant.ServeHTTP(answer, request.WithContext(gone))
	if answer.Body.Len() != 0 {
		t.Errorf("answered %d bytes to a client that is gone", answer.Body.Len())
	}
}
