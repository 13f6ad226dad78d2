package journal

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	// keyName is the name under which checkpoints are signed.
	keyName = "countersign-journal"
	// signerPrefix begins the line of the signing key, in the form of package note.
	signerPrefix = "PRIVATE+KEY+"
	// secretPrefix begins the line of the secret that the keyed hashes are derived from.
	secretPrefix = "SECRET+"
	keyComment   = "# The journal's key: it signs checkpoints and keys hashes. Keep it secret, and keep a copy."
)

// Keys are what only the writer of a journal has. They cannot be printed.
type Keys struct {
	signer           note.Signer
	public           string
	sealKey          []byte
	justificationKey []byte
}

// LoadKeys reads a key file. It refuses one that others can read or the group can write.
func LoadKeys(path string) (*Keys, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("journal key: %w", err)
	}
	if info.Mode().Perm()&0o027 != 0 {
		return nil, fmt.Errorf("journal key %s has mode %04o: allow at most 0640 or 0440", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("journal key: %w", err)
	}
	k, err := parseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("journal key %s: %w", path, err)
	}
	return k, nil
}

// LoadOrCreateKeys reads a key file, or creates it and its public part if there is none.
func LoadOrCreateKeys(path string) (*Keys, error) {
	k, err := LoadKeys(path)
	if !errors.Is(err, os.ErrNotExist) {
		return k, err
	}
	return createKeys(path)
}

// createKeys writes the public part first: the key file is the last thing to appear, and whole.
func createKeys(path string) (*Keys, error) {
	text, err := newKeyText()
	if err != nil {
		return nil, fmt.Errorf("make journal key: %w", err)
	}
	k, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("make journal key: %w", err)
	}
	if err := writeWhole(path+".pub", k.public+"\n", 0o644); err != nil {
		return nil, fmt.Errorf("write public journal key: %w", err)
	}
	if err := writeWhole(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("write journal key: %w", err)
	}
	return k, nil
}

func newKeyText() (string, error) {
	signer, _, err := note.GenerateKey(rand.Reader, keyName)
	if err != nil {
		return "", err
	}
	secret := make([]byte, sha256.Size)
	if _, err := rand.Read(secret); err != nil {
		return "", err
	}
	return strings.Join([]string{keyComment, signer, secretPrefix + base64.StdEncoding.EncodeToString(secret), ""}, "\n"), nil
}

// writeWhole puts a file in place such that it is there whole, durably, or not at all.
func writeWhole(path, text string, mode os.FileMode) error {
	temporary := path + ".new"
	if err := writeSynced(temporary, text, mode); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

func writeSynced(path, text string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// SyncDir makes a new name in a directory durable.
func SyncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	return errors.Join(syncHandle(d), d.Close())
}

func parseKeys(text string) (*Keys, error) {
	var signer, secret string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, signerPrefix) && signer == "":
			signer = line
		case strings.HasPrefix(line, secretPrefix) && secret == "":
			secret = strings.TrimPrefix(line, secretPrefix)
		default:
			// The line itself may be secret.
			return nil, errors.New("a line is neither a signing key nor a secret")
		}
	}
	return newKeys(signer, secret)
}

func newKeys(signerText, secretText string) (*Keys, error) {
	signer, err := note.NewSigner(signerText)
	if err != nil {
		return nil, errors.New("signing key is missing or malformed")
	}
	public, err := publicKey(signer.Name(), signerText)
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(secretText)
	if err != nil || len(secret) != sha256.Size {
		return nil, errors.New("secret is missing or malformed")
	}
	k := &Keys{signer: signer, public: public}
	if k.sealKey, err = hkdf.Key(sha256.New, secret, nil, "countersign-journal seal v1", sha256.Size); err != nil {
		return nil, err
	}
	k.justificationKey, err = hkdf.Key(sha256.New, secret, nil, "countersign-journal justification v1", sha256.Size)
	return k, err
}

// publicKey derives the verifier key, which package note only tells when a key is made: a signer key
// is PRIVATE+KEY+name+hash+base64(1, seed).
func publicKey(name, signer string) (string, error) {
	parts := strings.SplitN(signer, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(parts) != 5 || len(seed) != 1+ed25519.SeedSize {
		return "", errors.New("signing key is malformed")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("signing key is malformed")
	}
	return note.NewEd25519VerifierKey(name, public)
}

// Public is the verifier key, one line of text: it checks signatures and makes none.
func (k *Keys) Public() string { return k.public }

// String names the public key and nothing else.
func (k *Keys) String() string { return "journal keys for " + k.public }

// GoString names the public key and nothing else.
func (k *Keys) GoString() string { return k.String() }

func (k *Keys) seal(content Hash) Hash {
	h := hmac.New(sha256.New, k.sealKey)
	h.Write(content[:])
	return Hash(h.Sum(nil))
}

// HashJustification is the keyed hash, HMAC-SHA256 in hexadecimal, that stands for a justification's
// text: whoever holds the key file can tell whether an entry has a given text, nobody else can.
func (k *Keys) HashJustification(text string) string {
	h := hmac.New(sha256.New, k.justificationKey)
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}
