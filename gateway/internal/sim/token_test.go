package sim_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/sim"
)

func modulus(t *testing.T, certificate *x509.Certificate) []byte {
	t.Helper()
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		t.Fatalf("public key is %T", certificate.PublicKey)
	}
	return key.N.Bytes()
}

func newTenant(t *testing.T, o sim.TenantOptions) *sim.Tenant {
	t.Helper()
	tenant, err := sim.NewTenant(o)
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

func mustToken(t *testing.T, tenant *sim.Tenant, o sim.TokenOptions) string {
	t.Helper()
	token, err := tenant.Token(o)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func part(t *testing.T, token string, index int) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[index])
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// verifies checks a signature with the key a tenant publishes, by nothing but the standard library.
func verifies(t *testing.T, tenant *sim.Tenant, token string) bool {
	t.Helper()
	var keys keySet
	getJSON(t, tenant.Authority()+"/"+tenant.ID()+"/discovery/keys", &keys)
	n, err := base64.RawURLEncoding.DecodeString(keys.Keys[0].N)
	if err != nil {
		t.Fatal(err)
	}
	signed, signature := token[:strings.LastIndex(token, ".")], token[strings.LastIndex(token, ".")+1:]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(signed))
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], raw) == nil
}

func TestTokenOfEachVersionHasItsClaims(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 9, 14, 9, 0, 0, 0, time.UTC)
	tenant := newTenant(t, sim.TenantOptions{
		ID: "aaaabbbb-0000-4ccc-9111-dddd2222eeee", ClientID: "00001111-aaaa-4222-9333-cccc44445555",
		PIMObjectID: "5f2a8d0e-6b1c-4f1e-9a57-3f6a1f0a9b77",
		AppIDURI:    "api://pim.contoso.example/00001111-aaaa-4222-9333-cccc44445555", Now: func() time.Time { return now },
	})
	begin := float64(now.Add(-5 * time.Minute).Unix())
	common := map[string]any{
		"iat": begin, "nbf": begin, "exp": begin + 75*60, "tid": tenant.ID(), "oid": tenant.PIMObjectID(), "sub": tenant.PIMObjectID(),
	}
	for version, own := range map[string]map[string]any{
		sim.Version1: {
			"ver": "1.0", "aud": tenant.AppIDURI(), "iss": "https://sts.windows.net/" + tenant.ID() + "/",
			"appid": sim.PIMAppID, "appidacr": "2", "idp": "https://sts.windows.net/" + tenant.ID() + "/",
		},
		sim.Version2: {
			"ver": "2.0", "aud": tenant.ClientID(), "iss": "https://login.microsoftonline.com/" + tenant.ID() + "/v2.0",
			"azp": sim.PIMAppID, "azpacr": "2",
		},
	} {
		claims := part(t, mustToken(t, tenant, sim.TokenOptions{Version: version}), 1)
		for _, name := range []string{"aio", "rh", "uti"} {
			if text, _ := claims[name].(string); text == "" {
				t.Errorf("version %s: claim %s is missing", version, name)
			}
			delete(claims, name)
		}
		maps.Copy(own, common)
		if diff := cmp.Diff(own, claims); diff != "" {
			t.Errorf("version %s: %s", version, diff)
		}
	}
}

func TestTokenIsSignedWithThePublishedKey(t *testing.T) {
	t.Parallel()
	tenant := startTenant(t, sim.TenantOptions{})
	token := mustToken(t, tenant, sim.TokenOptions{})
	want := map[string]any{"typ": "JWT", "alg": "RS256", "kid": tenant.Keys().KeyID()}
	if diff := cmp.Diff(want, part(t, token, 0)); diff != "" {
		t.Error(diff)
	}
	if !verifies(t, tenant, token) {
		t.Error("the right token does not verify")
	}
	for _, wrong := range []sim.Signature{sim.ForgedKey, sim.Altered, sim.PublicKeyHMAC, sim.Unsigned} {
		if verifies(t, tenant, mustToken(t, tenant, sim.TokenOptions{Signature: wrong})) {
			t.Errorf("%s verifies", wrong)
		}
	}
	if _, err := tenant.Token(sim.TokenOptions{Signature: "carved"}); err == nil {
		t.Error("an unknown way to sign is no error")
	}
}

func TestTenantsThatShareKeysDifferInTheIssuerOnly(t *testing.T) {
	t.Parallel()
	own := startTenant(t, sim.TenantOptions{})
	other := newTenant(t, sim.TenantOptions{Keys: own.Keys(), Authority: own.Authority(), ClientID: own.ClientID()})
	token := mustToken(t, other, sim.TokenOptions{})
	if !verifies(t, own, token) {
		t.Error("the shared key does not verify the other tenant's token")
	}
	if part(t, token, 1)["iss"] == own.Issuer(sim.Version2) {
		t.Error("both tenants have the same issuer")
	}
}

func TestEditsReachTheToken(t *testing.T) {
	t.Parallel()
	tenant := newTenant(t, sim.TenantOptions{})
	token := mustToken(t, tenant, sim.TokenOptions{
		Claims: map[string]any{"azp": nil, "idtyp": "app"}, WithoutClaims: []string{"exp"}, EditClaims: sim.Twin("tid", "x"),
		Header: map[string]any{"typ": "at+jwt"}, WithoutHeader: []string{"kid"},
	})
	claims := part(t, token, 1)
	if value, there := claims["azp"]; !there || value != nil || claims["idtyp"] != "app" || claims["exp"] != nil {
		t.Errorf("claims %v", claims)
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), `"tid"`) != 2 {
		t.Errorf("claims %s have no second tid", text)
	}
	if diff := cmp.Diff(map[string]any{"typ": "at+jwt", "alg": "RS256"}, part(t, token, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestWrongTokensAreManyAndDifferent(t *testing.T) {
	t.Parallel()
	tenant := newTenant(t, sim.TenantOptions{})
	wrong, err := tenant.WrongTokens()
	if err != nil {
		t.Fatal(err)
	}
	names, tokens := map[string]bool{}, map[string]bool{}
	for _, w := range wrong {
		if names[w.Name] || tokens[w.Token] {
			t.Errorf("%s comes twice", w.Name)
		}
		names[w.Name], tokens[w.Token] = true, true
	}
	if len(wrong) < 60 {
		t.Errorf("%d wrong tokens, want all kinds", len(wrong))
	}
}
