package entra_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/entra"
)

// The tenant of these tests and its application registration.
const (
	tenantID = "5d0e7f1a-9b8c-4d6e-a5f4-132435465768"
	clientID = "8c7b6a59-4838-4271-a6b5-c4d3e2f10987"
	appIDURI = "api://pim.fabrikam.example/" + clientID

	otherTenant = "0f1e2d3c-4b5a-4697-8877-665544332211"
	authEvents  = "99045fe1-7639-4a75-9d4a-577b6ca3810f" // Microsoft's authentication events service
)

// issuedAt is the iat of the claims in testdata, in Unix seconds.
const issuedAt = 1790000000

func issuer1(tenant string) string { return "https://sts.windows.net/" + tenant + "/" }
func issuer2(tenant string) string { return "https://login.microsoftonline.com/" + tenant + "/v2.0" }

var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// tenant is a stand-in for Entra: metadata and key sets of both versions.
type tenant struct {
	id string
	// answer, if set, replaces the answer to a path; it is asked under mu.
	answer map[string]http.HandlerFunc
	keys   []map[string]any
	mu     sync.Mutex

	address  string
	requests atomic.Int64
	keyReads atomic.Int64
}

func newTenant(t testing.TB, id string) *tenant {
	t.Helper()
	e := &tenant{id: id, answer: map[string]http.HandlerFunc{}, keys: []map[string]any{jwk("key-0", rsaKeys()[0]), jwk("key-1", rsaKeys()[1])}}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.address = server.URL
	return e
}

// Paths of a tenant.
const (
	metadata1 = "/.well-known/openid-configuration"
	metadata2 = "/v2.0/.well-known/openid-configuration"
	keys1     = "/discovery/keys"
	keys2     = "/discovery/v2.0/keys"
)

func (e *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.requests.Add(1)
	path := strings.TrimPrefix(r.URL.Path, "/"+e.id)
	if strings.HasSuffix(path, "/keys") {
		e.keyReads.Add(1)
	}
	e.mu.Lock()
	answer, keys := e.answer[path], e.keys
	e.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	switch path {
	case metadata1:
		writeJSON(w, map[string]any{"issuer": issuer1(e.id), "jwks_uri": e.address + "/" + e.id + keys1, "token_endpoint": "x"})
	case metadata2:
		writeJSON(w, map[string]any{"issuer": issuer2(e.id), "jwks_uri": e.address + "/" + e.id + keys2, "token_endpoint": "x"})
	case keys1:
		writeJSON(w, map[string]any{"keys": keys})
	case keys2:
		var all []map[string]any
		for _, key := range keys {
			key = maps.Clone(key)
			if key["issuer"] == nil {
				key["issuer"] = issuer2("{tenantid}")
			}
			all = append(all, key)
		}
		writeJSON(w, map[string]any{"keys": all})
	default:
		http.NotFound(w, r)
	}
}

func (e *tenant) set(path string, answer http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer[path] = answer
}

func (e *tenant) publish(keys ...map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = keys
}

// settings are those of a gateway of this tenant, a minute after the claims in testdata were issued.
func (e *tenant) settings() entra.Settings {
	return entra.Settings{
		Authority: e.address, TenantID: e.id, ClientID: clientID, AppIDURI: appIDURI,
		Now: func() time.Time { return time.Unix(issuedAt+60, 0) },
	}
}

func start(t testing.TB, s entra.Settings) *entra.Verifier {
	t.Helper()
	v, err := entra.New(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		panic(err)
	}
}

func jwk(id string, key *rsa.PrivateKey) map[string]any {
	return map[string]any{
		"kty": "RSA", "use": "sig", "kid": id, "x5t": id, "e": "AQAB",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "x5c": []string{"MIIC"},
	}
}

// object is a header or claims; raw replaces its JSON.
type object map[string]any

func (o object) with(edits object) object {
	o = maps.Clone(o)
	for name, value := range edits {
		if value == (remove{}) {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	return o
}

type remove struct{}

func header() object { return object{"typ": "JWT", "alg": "RS256", "kid": "key-0"} }

// claims reads a file of testdata/claims.
func claims(t testing.TB, name string) object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "claims", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		o[name] = int64(o[name].(float64))
	}
	return o
}

// sign makes a token of two JSON texts, with key-0.
func sign(header, claims string) string { return signWith(rsaKeys()[0], header, claims) }

func signWith(key *rsa.PrivateKey, header, claims string) string {
	signed := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func (o object) json() string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func mint(header, claims object) string { return sign(header.json(), claims.json()) }

func bearer(token string) []string { return []string{"Bearer " + token} }

// verify checks one token and that an error is always a Rejection that means 401.
func verify(t testing.TB, v *entra.Verifier, authorization []string) *entra.Rejection {
	t.Helper()
	caller, err := v.Verify(t.Context(), authorization)
	if err == nil {
		if caller.AppID == "" || caller.TenantID == "" {
			t.Errorf("accepted without a caller: %+v", caller)
		}
		return nil
	}
	rejection, ok := errors.AsType[*entra.Rejection](err)
	if !ok || !errors.Is(err, entra.ErrUnauthorized) || rejection.Why == "" {
		t.Fatalf("the error is no rejection: %v", err)
	}
	return rejection
}
