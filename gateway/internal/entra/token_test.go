package entra_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/entra"
	"github.com/countersign/countersign/gateway/internal/pim"
)

func TestAccepts(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	for name, version := range map[string]string{"v1": "1.0", "v1_client_id": "1.0", "v1_roles_and_azp": "1.0", "v2": "2.0", "v2_idtyp_app": "2.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v.Verify(t.Context(), bearer(mint(header(), claims(t, name))))
			if err != nil {
				t.Fatal(err)
			}
			want := pim.Caller{
				TenantID: tenantID, AppID: entra.PIM, ObjectID: "a0b1c2d3-e4f5-4061-8273-94a5b6c7d8e9",
				TokenID: "kV9hJ2mQpUe0-aBcDeFgAA", TokenVersion: version,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, authorization := range []string{"bearer ", "BEARER ", "bEaReR "} {
		if r := verify(t, v, []string{authorization + mint(header(), claims(t, "v2"))}); r != nil {
			t.Errorf("%s: %v", authorization, r)
		}
	}
	for _, h := range []object{{"typ": remove{}}, {"kid": "key-1"}, {"x5t": "key-0", "nonce": "x"}, {"x5c": []string{"MIIC"}}} {
		key := rsaKeys()[0]
		if h["kid"] != nil {
			key = rsaKeys()[1]
		}
		if r := verify(t, v, bearer(signWith(key, header().with(h).json(), claims(t, "v1").json()))); r != nil {
			t.Errorf("header %v: %v", h, r)
		}
	}
}

func TestRefusesHeaders(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	good := claims(t, "v2")
	plain := header().json()
	tests := map[string]struct{ header, want string }{
		"T1 alg none":                      {header().with(object{"alg": "none"}).json(), "alg is not RS256"},
		"T1 alg None":                      {header().with(object{"alg": "None"}).json(), "alg is not RS256"},
		"T1 alg nOnE":                      {header().with(object{"alg": "nOnE"}).json(), "alg is not RS256"},
		"T1 alg rs256":                     {header().with(object{"alg": "rs256"}).json(), "alg is not RS256"},
		"T1 alg with a blank":              {header().with(object{"alg": "RS256 "}).json(), "alg is not RS256"},
		"T1 no alg":                        {header().with(object{"alg": remove{}}).json(), "alg is not RS256"},
		"T1 alg null":                      {header().with(object{"alg": nil}).json(), "alg is not RS256"},
		"T1 alg in a list":                 {header().with(object{"alg": []string{"RS256"}}).json(), "alg is not RS256"},
		"T2 alg HS256":                     {header().with(object{"alg": "HS256"}).json(), "alg is not RS256"},
		"T2 alg RS384":                     {header().with(object{"alg": "RS384"}).json(), "alg is not RS256"},
		"T2 alg PS256":                     {header().with(object{"alg": "PS256"}).json(), "alg is not RS256"},
		"T2 alg ES256":                     {header().with(object{"alg": "ES256"}).json(), "alg is not RS256"},
		"T3 no kid":                        {header().with(object{"kid": remove{}}).json(), "kid is missing or not a key id"},
		"T3 kid empty":                     {header().with(object{"kid": ""}).json(), "kid is missing or not a key id"},
		"T3 kid null":                      {header().with(object{"kid": nil}).json(), "kid is missing or not a key id"},
		"T3 kid a number":                  {header().with(object{"kid": 0}).json(), "kid is missing or not a key id"},
		"T3 kid with NUL":                  {header().with(object{"kid": "key-0\x00"}).json(), "kid is missing or not a key id"},
		"T3 kid with a line break":         {header().with(object{"kid": "key-0\n"}).json(), "kid is missing or not a key id"},
		"T3 kid not ASCII":                 {header().with(object{"kid": "kéy-0"}).json(), "kid is missing or not a key id"},
		"T3 kid of 129 bytes":              {header().with(object{"kid": strings.Repeat("k", 129)}).json(), "kid is missing or not a key id"},
		"T4 jwk":                           {header().with(object{"jwk": jwk("key-0", rsaKeys()[0])}).json(), "header has jwk"},
		"T4 jku":                           {header().with(object{"jku": "https://x.example"}).json(), "header has jku"},
		"T4 x5u":                           {header().with(object{"x5u": "https://x.example"}).json(), "header has x5u"},
		"T4 jwk null":                      {header().with(object{"jwk": nil}).json(), "header has jwk"},
		"T5 crit":                          {header().with(object{"crit": []string{"exp"}}).json(), "header has crit"},
		"T5 crit empty":                    {header().with(object{"crit": []string{}}).json(), "header has crit"},
		"T5 crit of something unknown":     {header().with(object{"crit": []string{"x"}, "x": 1}).json(), "header has crit"},
		"T5 b64 false":                     {header().with(object{"b64": false}).json(), "header has b64"},
		"T5 b64 true":                      {header().with(object{"b64": true}).json(), "header has b64"},
		"T5 typ logout+jwt":                {header().with(object{"typ": "logout+jwt"}).json(), "typ is not JWT"},
		"T5 typ at+jwt":                    {header().with(object{"typ": "at+jwt"}).json(), "typ is not JWT"},
		"T5 typ null":                      {header().with(object{"typ": nil}).json(), "typ is not JWT"},
		"T5 typ a number":                  {header().with(object{"typ": 1}).json(), "typ is not JWT"},
		"T13 zip":                          {header().with(object{"zip": "DEF"}).json(), "header has zip"},
		"T13 enc":                          {header().with(object{"enc": "A256GCM"}).json(), "header has enc"},
		"T13 a nested token":               {header().with(object{"cty": "JWT"}).json(), "header has cty"},
		"T14 alg twice":                    {`{"alg":"none","alg":"RS256","kid":"key-0"}`, "header is not one unambiguous JSON object"},
		"T14 alg in two cases":             {`{"alg":"RS256","ALG":"none","kid":"key-0"}`, "header is not one unambiguous JSON object"},
		"T14 alg in capitals":              {`{"ALG":"RS256","kid":"key-0"}`, "alg is not RS256"},
		"T14 kid escaped twice":            {`{"alg":"RS256","kid":"key-0","k\u0069d":"x"}`, "header is not one unambiguous JSON object"},
		"T14 kid with a Kelvin sign":       {`{"alg":"RS256","kid":"key-0","\u212aid":"x"}`, "header is not one unambiguous JSON object"},
		"T14 kid only with a Kelvin sign":  {`{"alg":"RS256","\u212aid":"key-0"}`, "kid is missing or not a key id"},
		"T12 header followed by another":   {plain + plain, "header is not one unambiguous JSON object"},
		"T12 header with a byte order":     {"\ufeff" + plain, "header is not one unambiguous JSON object"},
		"T12 header nested 9 deep":         {header().with(object{"x": json.RawMessage(strings.Repeat("[", 8) + strings.Repeat("]", 8))}).json(), "header is not one unambiguous JSON object"},
		"T12 header nested 5000 deep":      {header().with(object{"x": json.RawMessage(strings.Repeat("[", 5000) + strings.Repeat("]", 5000))}).json(), "header is not one unambiguous JSON object"},
		"T12 header that is an array":      {"[" + plain + "]", "header is not one unambiguous JSON object"},
		"T12 header that is empty":         {"", "header is not one unambiguous JSON object"},
		"T12 header with invalid UTF-8":    {strings.Replace(plain, "JWT", "J\xffT", 1), "header is not one unambiguous JSON object"},
		"T12 header with a lone surrogate": {strings.Replace(plain, "JWT", `\ud800`, 1), "header is not one unambiguous JSON object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := verify(t, v, bearer(sign(test.header, good.json())))
			if r == nil || r.Why != test.want {
				t.Errorf("got %v, want %s", r, test.want)
			}
		})
	}
}

func TestRefusesForm(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	token := mint(header(), claims(t, "v2"))
	parts := strings.Split(token, ".")
	body, signature := parts[0]+"."+parts[1], parts[2]
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", signature[len(signature)-1])
	unused := signature[:len(signature)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1])
	tests := map[string][]string{
		"T12 no header":                     nil,
		"T12 two headers":                   {"Bearer " + token, "Bearer " + token},
		"T12 two headers, one empty":        {"Bearer " + token, ""},
		"T12 two tokens in one header":      {"Bearer " + token + ", Bearer " + token},
		"T12 an empty header":               {""},
		"T12 a scheme alone":                {"Bearer"},
		"T12 no token":                      {"Bearer "},
		"T12 no scheme":                     {token},
		"T12 another scheme":                {"Basic " + token},
		"T12 a lookalike of the scheme":     {"Bеarer " + token},
		"T12 two blanks":                    {"Bearer  " + token},
		"T12 a tab":                         {"Bearer\t" + token},
		"T12 a blank behind":                {"Bearer " + token + " "},
		"T12 a blank before":                {" Bearer " + token},
		"T12 a line break inside":           {"Bearer " + parts[0] + ".\n" + parts[1] + "." + signature},
		"T12 CR LF inside the signature":    {"Bearer " + body + "." + signature[:10] + "\r\n" + signature[10:]},
		"T12 17 KiB":                        {"Bearer " + strings.Repeat("a", 17<<10)},
		"T12 sixteen thousand dots":         {"Bearer " + strings.Repeat(".", 16000)},
		"T12 no dot":                        {"Bearer " + strings.ReplaceAll(token, ".", "")},
		"T12 one dot":                       {"Bearer " + body},
		"T12 three dots":                    {"Bearer " + token + "."},
		"T12 nothing but two":               {"Bearer .."},
		"T12 padding":                       {"Bearer " + token + "=="},
		"T12 bits that are not used":        {"Bearer " + body + "." + unused},
		"T12 standard base64":               {"Bearer " + body + "." + base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\xfb\xff", 128)))},
		"T1 no signature":                   {"Bearer " + body + "."},
		"T1 none without signature":         {"Bearer " + encode(`{"alg":"none","kid":"key-0"}`) + "." + parts[1] + "."},
		"T13 five parts":                    {"Bearer " + token + ".a.b"},
		"T13 JSON serialisation":            {`Bearer {"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + signature + `"}`},
		"T13 a token as claims":             {"Bearer " + sign(header().json(), token)},
		"a signature of other claims":       {"Bearer " + encode(header().json()) + "." + encode(claims(t, "v1").json()) + "." + signature},
		"a signature cut short":             {"Bearer " + body + "." + encode("x")},
		"a signature with one bit changed":  {"Bearer " + body + "." + flip(signature)},
		"a signature of another key":        {"Bearer " + signWith(rsaKeys()[1], header().json(), claims(t, "v2").json())},
		"a signature of a key nobody has":   {"Bearer " + signWith(rsaKeys()[2], header().json(), claims(t, "v2").json())},
		"T3 kid that is a path":             {"Bearer " + mint(header().with(object{"kid": "../../dev/null"}), claims(t, "v2"))},
		"T3 kid that is SQL":                {"Bearer " + mint(header().with(object{"kid": "x' OR '1'='1"}), claims(t, "v2"))},
		"T3 kid that is an address":         {"Bearer " + mint(header().with(object{"kid": "https://x.example/key"}), claims(t, "v2"))},
		"T3 kid in another case":            {"Bearer " + mint(header().with(object{"kid": "KEY-0"}), claims(t, "v2"))},
		"T12 claims with a byte order mark": {"Bearer " + sign(header().json(), "\ufeff"+claims(t, "v2").json())},
		"T12 claims followed by more":       {"Bearer " + sign(header().json(), claims(t, "v2").json()+"{}")},
		"T12 claims that are null":          {"Bearer " + sign(header().json(), "null")},
		"T12 claims that are empty":         {"Bearer " + sign(header().json(), "")},
	}
	for name, authorization := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := verify(t, v, authorization)
			if r == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(name, " dot") || strings.Contains(name, "five parts") || strings.Contains(name, "line break") {
				// Nothing is decoded before the form is known.
				if r.Why != "not a signed token in compact form" {
					t.Error(r)
				}
			}
		})
	}
	if r := verify(t, v, bearer(token)); r != nil {
		t.Fatalf("the token that all of these come from: %v", r)
	}
}

func flip(signature string) string {
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		panic(err)
	}
	raw[100] ^= 1
	return base64.RawURLEncoding.EncodeToString(raw)
}

// T2: the public key, in every form somebody may have it, is no HMAC secret.
func TestRefusesHMACWithThePublicKey(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	public := &rsaKeys()[0].PublicKey
	pkix, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(jwk("key-0", rsaKeys()[0]))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{
		"PKIX DER": pkix, "PKCS1 DER": x509.MarshalPKCS1PublicKey(public), "JWK": document,
		"PKIX PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}), "modulus": public.N.Bytes(),
	}
	for name, secret := range secrets {
		for _, alg := range []string{"HS256", "RS256"} {
			signed := encode(header().with(object{"alg": alg}).json()) + "." + encode(claims(t, "v2").json())
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(signed))
			if verify(t, v, bearer(signed+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))) == nil {
				t.Errorf("%s, %s: accepted", name, alg)
			}
		}
	}
}

// Signatures that are zero, one or the modulus are no signatures.
func TestRefusesDegenerateSignatures(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	n := rsaKeys()[0].N
	signed := encode(header().json()) + "." + encode(claims(t, "v2").json())
	for _, s := range []*big.Int{big.NewInt(0), big.NewInt(1), n, new(big.Int).Sub(n, big.NewInt(1)), new(big.Int).Add(n, big.NewInt(1))} {
		signature := s.FillBytes(make([]byte, 256))
		if verify(t, v, bearer(signed+"."+base64.RawURLEncoding.EncodeToString(signature))) == nil {
			t.Errorf("accepted %s", s)
		}
	}
}

// T4: nobody connects to where a token points.
func TestNeverFetchesWhatATokenNames(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { connections.Add(1) }))
	t.Cleanup(trap.Close)
	e := newTenant(t, tenantID)
	v := start(t, e.settings())
	before := e.requests.Load()
	for _, name := range []string{"jku", "x5u", "x5c", "kid"} {
		token := signWith(rsaKeys()[2], header().with(object{name: trap.URL + "/keys"}).json(), claims(t, "bad_other_tenant").json())
		if verify(t, v, bearer(token)) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to the token's address", n)
	}
	if n := e.requests.Load() - before; n != 0 {
		t.Errorf("%d requests to the tenant for tokens of another one", n)
	}
}

// T17: a rejection holds what an administrator needs and nothing that could be used.
func TestRejectionIsFitForTheLog(t *testing.T) {
	t.Parallel()
	v := start(t, newTenant(t, tenantID).settings())
	token := mint(header(), claims(t, "v1").with(object{"aud": "api://wrong\n\x1b[31m/" + strings.Repeat("é", 200), "secret": "canary"}))
	r := verify(t, v, bearer(token))
	if r == nil {
		t.Fatal("accepted")
	}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("callout refused", slog.Any("token", r))
	line := out.String()
	for _, want := range []string{"token.ver=1.0", "token.iss=" + issuer1(tenantID), "token.caller=" + entra.PIM, "token.tid=" + tenantID, "token.kid=key-0", "api://wrong??[31m/", "aud is not this application"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	if strings.Contains(line, "canary") || strings.Contains(line, token[len(token)-40:]) || strings.Count(line, "\n") != 1 || len(line) > 1000 {
		t.Errorf("log line: %s", line)
	}
	if r.Error() != "token refused: aud is not this application" {
		t.Errorf("Error: %s", r.Error())
	}
}
