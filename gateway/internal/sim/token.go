package sim

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The versions of access tokens, by their claim "ver".
const (
	Version1 = "1.0"
	Version2 = "2.0"
)

// TokenOptions say which token to issue. The zero value is the app-only v2.0 token with which PIM calls
// the gateway; every field is one way to depart from it.
type TokenOptions struct {
	// Version is "1.0" or "2.0"; "2.0" if empty.
	Version string
	// Audience is the application that the token is for; the registration's if empty.
	Audience string
	// Caller is the client id of the application that the token is issued to; PIM's if empty.
	Caller string
	// ObjectID is the object id of its service principal; that of PIM if empty.
	ObjectID string
	// TenantID is the tenant that the token names; the own if empty.
	TenantID string
	// Issuer is who the token says it is from; the own issuer of the version if empty.
	Issuer string
	// IssuedAt is the beginning of its life; five minutes ago if zero, as Entra ID dates them.
	IssuedAt time.Time
	// Lifetime is 75 minutes if zero; Entra ID draws between 60 and 90.
	Lifetime time.Duration
	// Claims are set over those of the version; a nil value is null in the token.
	Claims map[string]any
	// WithoutClaims are left out.
	WithoutClaims []string
	// Header members are set over "typ", "alg", "kid" (and "x5t").
	Header map[string]any
	// WithoutHeader members are left out.
	WithoutHeader []string
	// Signature says how the token is signed; with the current key and RS256 if empty.
	Signature Signature
	// EditHeader and EditClaims change the JSON texts before they are signed, for what no map can say,
	// such as a member that comes twice.
	EditHeader func([]byte) []byte
	EditClaims func([]byte) []byte
}

// Signature is how a token is signed.
type Signature string

// The signatures other than the right one.
const (
	// Unsigned leaves the signature empty.
	Unsigned Signature = "unsigned"
	// ForgedKey signs with a key that nobody publishes, under the current key's id.
	ForgedKey Signature = "forged_key"
	// PublicKeyHMAC signs with HMAC-SHA-256 and the public key's PEM text as the secret.
	PublicKeyHMAC Signature = "public_key_hmac"
	// Altered signs rightly and then changes one bit of the signature.
	Altered Signature = "altered"
)

// defaultLifetime lies in the middle of what Entra ID draws.
const defaultLifetime = 75 * time.Minute

// Token issues a token.
func (t *Tenant) Token(o TokenOptions) (string, error) {
	now := t.options.Now()
	header, err := json.Marshal(edited(t.header(o), o.Header, o.WithoutHeader))
	if err != nil {
		return "", fmt.Errorf("token header: %w", err)
	}
	claims, err := json.Marshal(edited(t.claims(o, now), o.Claims, o.WithoutClaims))
	if err != nil {
		return "", fmt.Errorf("token claims: %w", err)
	}
	if o.EditHeader != nil {
		header = o.EditHeader(header)
	}
	if o.EditClaims != nil {
		claims = o.EditClaims(claims)
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	signature, err := t.sign(signed, o.Signature)
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (t *Tenant) header(o TokenOptions) object {
	id := t.options.Keys.KeyID()
	header := object{{"typ", "JWT"}, {"alg", "RS256"}}
	if o.Version == Version1 {
		header = append(header, member{"x5t", id})
	}
	return append(header, member{"kid", id})
}

func (t *Tenant) claims(o TokenOptions, now time.Time) object {
	version := or(o.Version, Version2)
	tenant := or(o.TenantID, t.options.ID)
	issued := o.IssuedAt
	if issued.IsZero() {
		issued = now.Add(-5 * time.Minute)
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	issuer := or(o.Issuer, t.Issuer(version))
	claims := object{
		{"aud", or(o.Audience, t.audience(version))},
		{"iss", issuer},
		{"iat", issued.Unix()},
		{"nbf", issued.Unix()},
		{"exp", issued.Add(o.Lifetime).Unix()},
		{"aio", opaque()},
	}
	claims = append(claims, callerClaims(version, or(o.Caller, PIMAppID), issuer)...)
	caller := or(o.ObjectID, t.options.PIMObjectID)
	return append(claims, object{
		{"oid", caller},
		{"rh", opaque()},
		{"sub", caller},
		{"tid", tenant},
		{"uti", opaque()},
		{"ver", version},
	}...)
}

// callerClaims name the client, which each version does in its own words; "2" says that it
// authenticated with a certificate.
func callerClaims(version, caller, issuer string) object {
	if version == Version1 {
		return object{{"appid", caller}, {"appidacr", "2"}, {"idp", issuer}}
	}
	return object{{"azp", caller}, {"azpacr", "2"}}
}

func (t *Tenant) audience(version string) string {
	if version == Version1 {
		return t.options.AppIDURI
	}
	return t.options.ClientID
}

func edited(o object, set map[string]any, without []string) object {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		o = o.with(name, set[name])
	}
	return o.without(without...)
}

func (t *Tenant) sign(signed string, how Signature) ([]byte, error) {
	key := t.options.Keys.current()
	switch how {
	case Unsigned:
		return nil, nil
	case PublicKeyHMAC:
		return key.signHMAC(signed)
	case ForgedKey:
		forged, err := t.options.Keys.forged()
		if err != nil {
			return nil, err
		}
		return forged.signRS256(signed)
	case Altered:
		signature, err := key.signRS256(signed)
		if err != nil {
			return nil, err
		}
		signature[len(signature)/2] ^= 1
		return signature, nil
	case "":
		return key.signRS256(signed)
	}
	return nil, fmt.Errorf("sign token: %w %q", errors.ErrUnsupported, how)
}

func (k *signingKey) signRS256(signed string) ([]byte, error) {
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	return signature, nil
}

func (k *signingKey) signHMAC(signed string) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(signed))
	return mac.Sum(nil), nil
}

// opaque is the value of a claim whose meaning is Microsoft's own.
func opaque() string {
	id := uuid.New()
	return base64.RawURLEncoding.EncodeToString(id[:])
}
