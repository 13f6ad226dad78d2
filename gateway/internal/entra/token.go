package entra

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// Sizes, in bytes. Tokens of Entra for an application are about 1.5 KiB; 16 KiB is what common servers
// allow for a header.
const (
	maxAuthorization = 16 << 10
	maxKeyID         = 128
)

// token is a JWS in compact form (RFC 7515) whose header is acceptable and whose signature nobody has
// checked yet.
type token struct {
	keyID     string
	claims    claims
	signed    string // header and claims as they were signed
	signature []byte
}

// parseToken does everything that needs neither keys nor settings. Nothing is copied or decoded before
// the number of parts is known, so that a hostile header costs one pass over it.
func parseToken(authorization []string) (*token, *Rejection) {
	if len(authorization) != 1 {
		return nil, &Rejection{Why: "not exactly one authorization header"}
	}
	if len(authorization[0]) > maxAuthorization {
		return nil, &Rejection{Why: "authorization header is too long"}
	}
	scheme, compact, _ := strings.Cut(authorization[0], " ")
	if !strictjson.EqualASCII(scheme, "bearer") {
		return nil, &Rejection{Why: "authorization scheme is not bearer"}
	}
	if !isCompact(compact) {
		return nil, &Rejection{Why: "not a signed token in compact form"}
	}
	return decodeToken(compact)
}

// isCompact looks for exactly two dots between base64url characters. The decoder of the standard library
// would skip line breaks.
func isCompact(compact string) bool {
	dots := 0
	for i := range len(compact) {
		switch c := compact[i]; {
		case c == '.':
			dots++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return dots == 2
}

func decodeToken(compact string) (*token, *Rejection) {
	t, payload, rejection := openSigned(compact)
	if rejection != nil {
		return nil, rejection
	}
	if why := t.claims.read(payload); why != "" {
		return nil, t.rejected(why)
	}
	return t, nil
}

// openSigned takes three parts of base64url apart and accepts the first as a header.
func openSigned(compact string) (*token, []byte, *Rejection) {
	end := strings.LastIndexByte(compact, '.')
	t := &token{signed: compact[:end]}
	header, payload, _ := strings.Cut(t.signed, ".")
	encoding := base64.RawURLEncoding.Strict()
	headerJSON, err := encoding.DecodeString(header)
	if err != nil {
		return nil, nil, &Rejection{Why: "header is not base64url"}
	}
	if why := t.readHeader(headerJSON); why != "" {
		return nil, nil, &Rejection{Why: why, KeyID: logged(t.keyID)}
	}
	t.signature, err = encoding.DecodeString(compact[end+1:])
	if err != nil || len(t.signature) == 0 {
		return nil, nil, t.rejected("signature is missing or not base64url")
	}
	claimsJSON, err := encoding.DecodeString(payload)
	if err != nil {
		return nil, nil, t.rejected("claims are not base64url")
	}
	return t, claimsJSON, nil
}

// limits fit the headers and claims of Entra's tokens, with room for claims it adds.
func limits() strictjson.Limits {
	return strictjson.Limits{Bytes: maxAuthorization, Depth: 8, Values: 256}
}

// readHeader accepts what Entra writes (typ, alg, kid and for version 1.0 x5t) and refuses every member
// that would change what is verified or with which key: RFC 7515 section 4.1, RFC 7797, RFC 7516.
func (t *token) readHeader(document []byte) string {
	header, err := strictjson.Parse(document, limits())
	if err != nil {
		return "header is not one unambiguous JSON object"
	}
	for _, name := range [...]string{"crit", "jwk", "jku", "x5u", "b64", "zip", "enc", "cty"} {
		if header.Kind(name) != strictjson.Absent {
			return "header has " + name
		}
	}
	alg, _, err := header.String("alg")
	if err != nil || alg != "RS256" {
		return "alg is not RS256"
	}
	typ, present, err := header.String("typ")
	if err != nil || present && typ != "JWT" || header.Kind("typ") == strictjson.Null {
		return "typ is not JWT"
	}
	keyID, _, err := header.String("kid")
	if err != nil || !isKeyID(keyID) {
		return "kid is missing or not a key id"
	}
	t.keyID = keyID
	return ""
}

// isKeyID allows printable ASCII: a key id is looked up in a map and printed, nothing else.
func isKeyID(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != "" && len(text) <= maxKeyID
}

// checkSignature verifies RSASSA-PKCS1-v1_5 with SHA-256, which is what RS256 means (RFC 7518 section 3.3).
func (t *token) checkSignature(key *rsa.PublicKey) string {
	sum := sha256.Sum256([]byte(t.signed))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature); err != nil {
		return "signature does not match"
	}
	return ""
}

func (t *token) rejected(why string) *Rejection {
	return &Rejection{
		Why: why, KeyID: logged(t.keyID), Audience: logged(t.claims.audience), Issuer: logged(t.claims.issuer),
		Caller: logged(t.claims.callerID()), Version: logged(t.claims.version), TenantID: logged(t.claims.tenantID),
	}
}

func (t *token) caller() pim.Caller {
	c := t.claims
	return pim.Caller{
		TenantID: c.tenantID, AppID: c.callerID(), ObjectID: c.objectID, TokenID: c.tokenID, TokenVersion: c.version,
	}
}
