package sim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is a SHA-1 thumbprint by definition (RFC 7517, section 4.8)
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// Keys are the signing keys that tenants publish. Entra ID shares its keys across tenants, and so may
// several tenants here: what tells their tokens apart is the issuer, not the key.
type Keys struct {
	mu        sync.Mutex
	published []*signingKey
	// unpublished signs the tokens of a forger; made when it is first needed.
	unpublished *signingKey
}

type signingKey struct {
	id          string
	private     *rsa.PrivateKey
	certificate []byte
}

// keyBits is the size of Entra ID's signing keys.
const keyBits = 2048

// NewKeys makes a set with one key.
func NewKeys() (*Keys, error) {
	k := &Keys{}
	if err := k.Rotate(); err != nil {
		return nil, err
	}
	return k, nil
}

// Rotate publishes a new key and signs with it from now on. The older keys stay published, as Entra ID
// keeps them while tokens signed with them live.
func (k *Keys) Rotate() error {
	key, err := newSigningKey()
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.published = append(k.published, key)
	return nil
}

// Retire stops publishing every key but the one in use.
func (k *Keys) Retire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.published = k.published[len(k.published)-1:]
}

// KeyID is the identifier of the key in use.
func (k *Keys) KeyID() string { return k.current().id }

func (k *Keys) current() *signingKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.published[len(k.published)-1]
}

// forged is a key that nobody publishes.
func (k *Keys) forged() (*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unpublished != nil {
		return k.unpublished, nil
	}
	key, err := newSigningKey()
	if err != nil {
		return nil, err
	}
	k.unpublished = key
	return key, nil
}

// set writes the key document in Microsoft's form. Only the keys of the v2.0 endpoint say whose they
// are, so an empty issuer leaves that member out.
func (k *Keys) set(issuer string) object {
	k.mu.Lock()
	defer k.mu.Unlock()
	entries := make([]object, 0, len(k.published))
	for _, key := range k.published {
		entries = append(entries, key.entry(issuer))
	}
	return object{{"keys", entries}}
}

func newSigningKey() (*signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("generate signing key: %w", err)
	}
	certificate, err := selfSign(private)
	if err != nil {
		return nil, err
	}
	return &signingKey{id: thumbprint(certificate), private: private, certificate: certificate}, nil
}

func selfSign(private *rsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "accounts.accesscontrol.windows.net"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(5, 0, 0),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("sign key's certificate: %w", err)
	}
	return certificate, nil
}

// thumbprint is x5t, which Entra ID also uses as kid.
func thumbprint(certificate []byte) string {
	sum := sha1.Sum(certificate) //nolint:gosec // see the import
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (k *signingKey) entry(issuer string) object {
	entry := object{
		{"kty", "RSA"},
		{"use", "sig"},
		{"kid", k.id},
		{"x5t", k.id},
		{"n", base64.RawURLEncoding.EncodeToString(k.private.N.Bytes())},
		{"e", base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes())},
		{"x5c", []string{base64.StdEncoding.EncodeToString(k.certificate)}},
	}
	if issuer != "" {
		entry = append(entry, member{"cloud_instance_name", "microsoftonline.com"}, member{"issuer", issuer})
	}
	return entry
}
