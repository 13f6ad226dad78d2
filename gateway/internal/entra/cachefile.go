package entra

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// cacheFile keeps the key sets on disk, so that a restart during an outage of Entra does not lock PIM out.
type cacheFile struct {
	settings Settings
	keyrings []*keyring
	mu       sync.Mutex
}

// The file's form. Keys are in JWK form, so that loading vets them like fetched ones.
type (
	savedFile struct {
		Authority string     `json:"authority"`
		TenantID  string     `json:"tenant_id"`
		Sets      []savedSet `json:"sets"`
	}
	savedSet struct {
		Version   string     `json:"version"`
		Issuer    string     `json:"issuer"`
		FetchedAt int64      `json:"fetched_at"` // Unix seconds
		Keys      []savedKey `json:"keys"`
	}
	savedKey struct {
		Kty string `json:"kty"`
		Kid string `json:"kid"`
		N   string `json:"n"`
		E   string `json:"e"`
	}
)

// save replaces the file in one step: a reader sees the old one or the new one.
func (c *cacheFile) save() error {
	if c.settings.CacheFile == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	document, err := json.Marshal(c.saved())
	if err != nil {
		return fmt.Errorf("key cache: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(c.settings.CacheFile), ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("key cache: %w", err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone already if all went well
	_, err = file.Write(document)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), c.settings.CacheFile)
	}
	if err != nil {
		return fmt.Errorf("key cache: %w", err)
	}
	return nil
}

func (c *cacheFile) saved() savedFile {
	file := savedFile{Authority: c.settings.Authority, TenantID: c.settings.TenantID}
	for _, k := range c.keyrings {
		set, err := k.current()
		if err != nil {
			continue
		}
		saved := savedSet{Version: k.version, Issuer: set.issuer, FetchedAt: set.fetched.Unix()}
		for id, key := range set.keys {
			n := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
			saved.Keys = append(saved.Keys, savedKey{Kty: "RSA", Kid: id, N: n, E: publicEText})
		}
		file.Sets = append(file.Sets, saved)
	}
	return file
}

// load puts the sets of the file that still count on the keyrings. A file that cannot be used is logged:
// the keys will be fetched.
func (c *cacheFile) load() {
	if c.settings.CacheFile == "" {
		return
	}
	err := c.read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.settings.Logger.Warn("signing keys on disk not used", slog.Any("error", err))
	}
}

func (c *cacheFile) read() error {
	document, err := readPrivate(c.settings.CacheFile)
	if err != nil {
		return err
	}
	file, err := strictjson.Parse(document, strictjson.Limits{Bytes: maxDocument, Values: 4096})
	if err != nil {
		return err
	}
	authority, _, err1 := file.String("authority")
	tenantID, _, err2 := file.String("tenant_id")
	sets, _, err3 := file.Objects("sets")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if authority != c.settings.Authority || tenantID != c.settings.TenantID {
		return errors.New("it is of another authority or tenant")
	}
	for _, set := range sets {
		err = errors.Join(err, c.readSet(set))
	}
	return err
}

func (c *cacheFile) readSet(saved strictjson.Object) error {
	version, _, err1 := saved.String("version")
	issuer, _, err2 := saved.String("issuer")
	fetched, _, err3 := saved.Int("fetched_at")
	if err := errors.Join(err1, err2, err3, checkIssuer(issuer, version, c.settings.TenantID)); err != nil {
		return err
	}
	// Their age is judged whenever they are used; only a time to come would make them last.
	if time.Unix(fetched, 0).Sub(c.settings.Now()) > maxLeeway {
		return errors.New("keys for tokens of version " + version + " are from the future")
	}
	keys, err := readKeys(saved, issuer, c.settings.TenantID)
	if err != nil {
		return err
	}
	for _, k := range c.keyrings {
		if k.version == version {
			k.set.Store(&keySet{issuer: issuer, keys: keys, fetched: time.Unix(fetched, 0)})
		}
	}
	return nil
}

// readPrivate reads a file that nobody but its owner can write.
func readPrivate(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // a path from the operator's configuration
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s is not a file that only its owner can write", path)
	}
	return io.ReadAll(io.LimitReader(file, maxDocument+1))
}
