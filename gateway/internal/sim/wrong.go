package sim

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// WrongToken is a token that no endpoint may accept, with what is wrong with it.
type WrongToken struct {
	// Name says what is wrong, such as "caller of another application".
	Name  string
	Token string
}

// WrongTokens issues tokens that each depart from a right one in a single way, signed with the right
// key wherever the signature is not the point. An endpoint must answer all of them 401.
func (t *Tenant) WrongTokens() ([]WrongToken, error) {
	var wrong []WrongToken
	for _, group := range [][]wrongOptions{
		wrongSignatures(), wrongHeaders(), t.wrongIssuers(), t.wrongAudiences(), wrongCallers(), t.wrongTimes(), wrongMembers(),
	} {
		for _, w := range group {
			token, err := t.Token(w.options)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			wrong = append(wrong, WrongToken{Name: w.name, Token: token})
		}
	}
	forms, err := t.wrongForms()
	return append(wrong, forms...), err
}

type wrongOptions struct {
	name    string
	options TokenOptions
}

func wrongSignatures() []wrongOptions {
	return []wrongOptions{
		{"no signature", TokenOptions{Signature: Unsigned}},
		{"algorithm none", TokenOptions{Signature: Unsigned, Header: map[string]any{"alg": "none"}}},
		{"algorithm nOnE", TokenOptions{Signature: Unsigned, Header: map[string]any{"alg": "nOnE"}}},
		{"HMAC with the public key", TokenOptions{Signature: PublicKeyHMAC, Header: map[string]any{"alg": "HS256"}}},
		{"HMAC called RS256", TokenOptions{Signature: PublicKeyHMAC}},
		{"algorithm RS512 over an RS256 signature", TokenOptions{Header: map[string]any{"alg": "RS512"}}},
		{"algorithm PS256 over an RS256 signature", TokenOptions{Header: map[string]any{"alg": "PS256"}}},
		{"no algorithm", TokenOptions{WithoutHeader: []string{"alg"}}},
		{"key nobody publishes", TokenOptions{Signature: ForgedKey}},
		{"altered signature", TokenOptions{Signature: Altered}},
	}
}

func wrongHeaders() []wrongOptions {
	return []wrongOptions{
		{"no key id", TokenOptions{WithoutHeader: []string{"kid"}}},
		{"key id that is a path", TokenOptions{Header: map[string]any{"kid": "../../../../dev/null"}}},
		{"key id that is an address", TokenOptions{Header: map[string]any{"kid": "https://keys.example.invalid/1"}}},
		{"key id with a NUL", TokenOptions{Header: map[string]any{"kid": "a\x00b"}}},
		{"key id of 4 KiB", TokenOptions{Header: map[string]any{"kid": strings.Repeat("k", 4096)}}},
		{"key id that is a number", TokenOptions{Header: map[string]any{"kid": 1}}},
		{"unknown key id", TokenOptions{Header: map[string]any{"kid": "bm9ib2R5LWtub3dzLXRoaXM"}}},
		{"own key by jku", TokenOptions{Signature: ForgedKey, Header: map[string]any{"jku": "https://keys.example.invalid/keys"}}},
		{"own key by x5u", TokenOptions{Signature: ForgedKey, Header: map[string]any{"x5u": "https://keys.example.invalid/key"}}},
		{"jwk in the header", TokenOptions{Header: map[string]any{"jwk": map[string]any{"kty": "RSA"}}}},
		{"critical extension", TokenOptions{Header: map[string]any{"crit": []string{"exp"}, "exp": 1}}},
		{"unencoded payload", TokenOptions{Header: map[string]any{"crit": []string{"b64"}, "b64": false}}},
		{"type logout+jwt", TokenOptions{Header: map[string]any{"typ": "logout+jwt"}}},
		{"type that is a number", TokenOptions{Header: map[string]any{"typ": 1}}},
	}
}

func (t *Tenant) wrongIssuers() []wrongOptions {
	stranger := uuid.NewString()
	foreign := strings.Replace(t.Issuer(Version2), t.ID(), stranger, 1)
	return []wrongOptions{
		{"another tenant", TokenOptions{TenantID: stranger, Issuer: foreign}},
		{"another tenant's issuer", TokenOptions{Issuer: foreign}},
		{"another tenant's id", TokenOptions{TenantID: stranger}},
		{"issuer with a placeholder", TokenOptions{Issuer: t.Authority() + "/{tenantid}/v2.0"}},
		{"issuer for all tenants", TokenOptions{Issuer: t.Authority() + "/common/v2.0"}},
		{"issuer with a slash more", TokenOptions{Issuer: t.Issuer(Version2) + "/"}},
		{"version 1.0 with the issuer of 2.0", TokenOptions{Version: Version1, Issuer: t.Issuer(Version2)}},
		{"version 2.0 with the issuer of 1.0", TokenOptions{Issuer: t.Issuer(Version1)}},
		{"version 1.0 with azp", TokenOptions{
			Version: Version1, WithoutClaims: []string{"appid"}, Claims: map[string]any{"azp": PIMAppID},
		}},
		{"version 2.0 with appid", TokenOptions{WithoutClaims: []string{"azp"}, Claims: map[string]any{"appid": PIMAppID}}},
		{"no version", TokenOptions{WithoutClaims: []string{"ver"}}},
		{"version 3.0", TokenOptions{Claims: map[string]any{"ver": "3.0"}}},
		{"version that is a number", TokenOptions{Claims: map[string]any{"ver": 2.0}}},
		{"no issuer", TokenOptions{WithoutClaims: []string{"iss"}}},
		{"no tenant", TokenOptions{WithoutClaims: []string{"tid"}}},
	}
}

func (t *Tenant) wrongAudiences() []wrongOptions {
	return []wrongOptions{
		{"another audience", TokenOptions{Audience: uuid.NewString()}},
		{"audience Microsoft Graph", TokenOptions{Audience: "https://graph.microsoft.com"}},
		{"no audience", TokenOptions{WithoutClaims: []string{"aud"}}},
		{"audience list", TokenOptions{Claims: map[string]any{"aud": []string{t.ClientID()}}}},
		{"audience list with a stranger", TokenOptions{Claims: map[string]any{"aud": []string{t.ClientID(), uuid.NewString()}}}},
		{"audience with a slash more", TokenOptions{Version: Version1, Audience: t.AppIDURI() + "/"}},
		{"audience in upper case", TokenOptions{Version: Version1, Audience: strings.ToUpper(t.AppIDURI())}},
	}
}

// authenticationEventsAppID is the caller of the sister product, custom authentication extensions.
const authenticationEventsAppID = "99045fe1-7639-4a75-9d4a-577b6ca3810f"

func wrongCallers() []wrongOptions {
	stranger := uuid.NewString()
	return []wrongOptions{
		{"caller of another application", TokenOptions{Caller: stranger}},
		{"caller of another application, version 1.0", TokenOptions{Version: Version1, Caller: stranger}},
		{"caller of custom authentication extensions", TokenOptions{Caller: authenticationEventsAppID}},
		{"caller Azure CLI", TokenOptions{Caller: "04b07795-8ddb-461a-bbee-02f9e1bf7b46"}},
		{"caller list", TokenOptions{Claims: map[string]any{"azp": []string{PIMAppID}}}},
		{"caller null", TokenOptions{Claims: map[string]any{"azp": nil}}},
		{"caller number", TokenOptions{Claims: map[string]any{"azp": 1}}},
		{"no caller", TokenOptions{WithoutClaims: []string{"azp"}}},
		{"two callers", TokenOptions{Claims: map[string]any{"appid": stranger}}},
		{"caller under another spelling", TokenOptions{WithoutClaims: []string{"azp"}, Claims: map[string]any{"AZP": PIMAppID}}},
		{"delegated token", TokenOptions{Claims: map[string]any{"scp": "user_impersonation"}}},
		{"user token", TokenOptions{Claims: map[string]any{"idtyp": "user"}}},
	}
}

func (t *Tenant) wrongTimes() []wrongOptions {
	now := t.options.Now()
	return []wrongOptions{
		{"expired", TokenOptions{IssuedAt: now.Add(-2 * time.Hour), Lifetime: time.Hour}},
		{"not yet valid", TokenOptions{Claims: map[string]any{"nbf": now.Add(time.Hour).Unix()}}},
		{"issued in the future", TokenOptions{IssuedAt: now.Add(time.Hour)}},
		{"no expiry", TokenOptions{WithoutClaims: []string{"exp"}}},
		{"expiry as text", TokenOptions{Claims: map[string]any{"exp": "4102444800"}}},
		{"expiry beyond all numbers", TokenOptions{Claims: map[string]any{"exp": 1e300}}},
		{"negative expiry", TokenOptions{Claims: map[string]any{"exp": -1}}},
		{"lives for a year", TokenOptions{Lifetime: 365 * 24 * time.Hour}},
	}
}

func wrongMembers() []wrongOptions {
	return []wrongOptions{
		{"algorithm twice", TokenOptions{EditHeader: Twin("alg", "none")}},
		{"algorithm under two spellings", TokenOptions{EditHeader: Twin("ALG", "none")}},
		{"caller twice", TokenOptions{EditClaims: Twin("azp", uuid.NewString())}},
		{"caller under two spellings", TokenOptions{EditClaims: Twin("AZP", uuid.NewString())}},
		{"claims with more after them", TokenOptions{EditClaims: func(claims []byte) []byte { return append(claims, "{}"...) }}},
		{"claims that are no object", TokenOptions{EditClaims: func(claims []byte) []byte { return fmt.Appendf(nil, "[%s]", claims) }}},
		{"claims that are no JSON", TokenOptions{EditClaims: func([]byte) []byte { return []byte("claims") }}},
		{"claims that are no UTF-8", TokenOptions{EditClaims: func(claims []byte) []byte {
			return bytes.Replace(claims, []byte(`"ver"`), []byte("\"x\":\"\xff\",\"ver\""), 1)
		}}},
	}
}

// wrongForms are right tokens put wrongly.
func (t *Tenant) wrongForms() ([]WrongToken, error) {
	right, err := t.Token(TokenOptions{})
	if err != nil {
		return nil, err
	}
	header, rest, _ := strings.Cut(right, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	return []WrongToken{
		{"two parts", header + "." + claims},
		{"five parts", right + ".a.b"},
		{"JSON serialisation", `{"protected":"` + header + `","payload":"` + claims + `","signature":"` + signature + `"}`},
		{"padded signature", right + "=="},
		{"a blank inside", header + ". " + rest},
		{"no token at all", "token"},
		{"dots only", strings.Repeat(".", 1000)},
		{"64 KiB of signature", right + strings.Repeat("A", 64<<10)},
	}, nil
}
