package entra

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// Limits of key sets. NIST SP 800-131A: nothing below 2048 bits; above 8192 a signature check costs
// milliseconds.
const (
	maxKeys      = 64
	minBits      = 2048
	maxBits      = 8192
	publicE      = 65537
	publicEText  = "AQAB"
	tenantInTmpl = "{tenantid}"
)

// readKeys takes the keys out of a JWK set (RFC 7517) that may verify tokens of an issuer. Other keys are
// passed over; a set that is ambiguous or leaves nothing is an error.
func readKeys(set strictjson.Object, issuer, tenantID string) (map[string]*rsa.PublicKey, error) {
	entries, _, err := set.Objects("keys")
	if err != nil {
		return nil, err
	}
	if len(entries) > maxKeys {
		return nil, errors.New("more than 64 keys")
	}
	keys := make(map[string]*rsa.PublicKey, len(entries))
	for _, entry := range entries {
		if !isFor(entry, issuer, tenantID) {
			continue
		}
		id, key := readKey(entry)
		if key == nil {
			continue
		}
		if known := keys[id]; known != nil && !known.Equal(key) {
			return nil, errors.New("two keys with the same kid")
		}
		keys[id] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable key")
	}
	return keys, nil
}

// isFor matches the member issuer, which Entra adds to some key sets: a key of another tenant's issuer must
// not verify tokens of this one. Key sets that are common to tenants have a placeholder in it.
func isFor(entry strictjson.Object, issuer, tenantID string) bool {
	text, present, err := entry.String("issuer")
	return err == nil && (!present || strings.ReplaceAll(text, tenantInTmpl, tenantID) == issuer)
}

// readKey is nil for a key that is not an RSA signing key, or too weak a one.
func readKey(entry strictjson.Object) (string, *rsa.PublicKey) {
	id, _, err := entry.String("kid")
	if err != nil || !isKeyID(id) || !hasPurpose(entry) || entry.Kind("d") != strictjson.Absent {
		return "", nil
	}
	exponent, _, err := entry.String("e")
	if err != nil || exponent != publicEText {
		return "", nil
	}
	text, _, err := entry.String("n")
	if err != nil {
		return "", nil
	}
	modulus, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return "", nil
	}
	n := new(big.Int).SetBytes(modulus)
	if n.BitLen() < minBits || n.BitLen() > maxBits || n.Bit(0) == 0 || hasROCA(n) {
		return "", nil
	}
	return id, &rsa.PublicKey{N: n, E: publicE}
}

// hasPurpose wants an RSA key for signatures; use, key_ops and alg may be absent (RFC 7517 section 4).
func hasPurpose(entry strictjson.Object) bool {
	operations, present, err := entry.Strings("key_ops")
	if err != nil || present && !slices.Contains(operations, "verify") {
		return false
	}
	for _, want := range [...]struct{ name, value string }{{"kty", "RSA"}, {"use", "sig"}, {"alg", "RS256"}} {
		text, present, err := entry.String(want.name)
		if err != nil || present && text != want.value || !present && want.name == "kty" {
			return false
		}
	}
	return true
}

// hasROCA reports whether a modulus comes from the key generator of CVE-2017-15361: its primes are powers of
// 65537 modulo a product of small primes, and so is their product modulo each of these. A modulus of
// another generator passes for one in about 2^27 cases. Nemec et al., "The Return of Coppersmith's Attack",
// ACM CCS 2017, section 2.3.
func hasROCA(n *big.Int) bool {
	remainder := new(big.Int)
	for _, prime := range [...]int64{
		3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
		107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	} {
		remainder.Mod(n, big.NewInt(prime))
		if !isPower(remainder.Int64(), publicE%prime, prime) {
			return false
		}
	}
	return true
}

// isPower reports whether a value is a power of a base modulo a prime.
func isPower(value, base, prime int64) bool {
	power := int64(1)
	for range prime {
		if power == value {
			return true
		}
		power = power * base % prime
	}
	return false
}
