// Package entra authenticates callouts: an access token of Microsoft Entra ID becomes a Caller, or a
// Rejection that says to the log, and only there, what was wrong with it.
//
// A token is accepted if it is a JWS in compact form, signed with RS256 by a key that the tenant's own
// metadata names, and if its claims are one of the few combinations that Entra issues for this
// application to PIM. Both token versions are spoken, since an application registration gets version
// 1.0 unless somebody changes it; a version's issuer, audience and caller claims are never mixed with
// the other's.
//
// Keys are fetched at start, refreshed in the background and kept through an outage of Entra for 24
// hours, across restarts too. The package never reads a body and keeps no accepted tokens: a key that is
// withdrawn stops counting with the next refresh.
package entra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// PIM is the application id of Microsoft's "MS-PIM" service, which calls custom extensions.
const PIM = "1c67c054-65c8-4f7f-92a1-eb7ba6e48627"

// DefaultAuthority is where tokens of the global Microsoft cloud come from.
const DefaultAuthority = "https://login.microsoftonline.com"

// Bounds of the clock leeway. Entra's own middleware allows 5 minutes.
const (
	defaultLeeway = 120 * time.Second
	maxLeeway     = 300 * time.Second
)

// ErrNoKeys is wrapped by what New returns where neither Entra nor the cache has keys; the rest of the
// error says why.
var ErrNoKeys = errors.New("no keys")

// startTimeout is how long New waits for the first keys.
const startTimeout = 4 * time.Second

// Settings say whose tokens count.
type Settings struct {
	// Authority is the base URL of the token service; empty means DefaultAuthority. It must be https
	// unless its host is a loopback address.
	Authority string
	// TenantID is the GUID of the tenant.
	TenantID string
	// ClientID is the application (client) id of the gateway's own application registration.
	ClientID string
	// AppIDURI is that registration's Application ID URI, the audience of version 1.0 tokens. Empty
	// means that only the client id counts.
	AppIDURI string
	// Callers are the application ids that may call; empty means PIM alone.
	Callers []string
	// Leeway is the tolerated difference of clocks; zero means 120 s, and 300 s is the most.
	Leeway time.Duration
	// CacheFile keeps the keys across restarts; empty means that they are not kept. Whoever can write it
	// can forge tokens, so that a file which others may write is not read.
	CacheFile string
	// HTTPClient fetches the keys; nil means one with the system's and CAFile's certificates.
	HTTPClient *http.Client
	// CAFile names PEM certificates that are trusted besides the system's, for a proxy that inspects TLS.
	CAFile string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets the state of the keys; nil means that nobody does.
	Logger *slog.Logger
}

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	settings Settings
	keyrings []*keyring
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// New fetches the keys and begins to refresh them in the background until Close. It waits a few seconds
// at most. Where Entra cannot be reached it makes do with a CacheFile that is younger than 24 hours; it
// fails if there is none.
func New(ctx context.Context, s Settings) (*Verifier, error) {
	s, err := s.checked()
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	v := &Verifier{settings: s, stop: stop}
	cache := &cacheFile{settings: s}
	source := source{client: s.HTTPClient, authority: s.Authority, tenantID: s.TenantID}
	for _, version := range []string{version1, version2} {
		v.keyrings = append(v.keyrings, newKeyring(version, s, source, cache))
	}
	cache.keyrings = v.keyrings
	cache.load()
	v.start(ctx, life)
	if err := v.Ready(); err != nil {
		err = fmt.Errorf("keys of tenant %s from %s: %w", s.TenantID, s.Authority, err)
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// start runs the refresh of both keyrings and waits for the first attempt of each.
func (v *Verifier) start(ctx, life context.Context) {
	wait, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, k := range v.keyrings {
		v.running.Go(func() { k.run(life) })
	}
	for _, k := range v.keyrings {
		select {
		case <-k.attempted:
		case <-wait.Done():
			return
		}
	}
}

// Ready is nil if tokens of at least one version can be verified with keys younger than 24 hours.
func (v *Verifier) Ready() error {
	var errs []error
	for _, k := range v.keyrings {
		_, err := k.current()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Close ends the background refresh and waits for it. It always returns nil.
func (v *Verifier) Close() error {
	v.stop()
	v.running.Wait()
	v.settings.HTTPClient.CloseIdleConnections()
	return nil
}

// Verify authenticates a request by the values of all its Authorization headers. Every error is a
// *Rejection and wraps ErrUnauthorized.
func (v *Verifier) Verify(ctx context.Context, authorization []string) (pim.Caller, error) {
	t, rejection := parseToken(authorization)
	if rejection != nil {
		return pim.Caller{}, rejection
	}
	why := v.check(ctx, t)
	if why != "" {
		return pim.Caller{}, t.rejected(why)
	}
	return t.caller(), nil
}

// check looks at the claims first: a token for somebody else costs neither a signature check nor a look
// for its key.
func (v *Verifier) check(ctx context.Context, t *token) string {
	k := v.keyringFor(t.claims.version)
	if k == nil {
		return "ver is neither 1.0 nor 2.0"
	}
	set, err := k.current()
	if err != nil {
		return "no keys to verify with"
	}
	if why := t.claims.check(v.settings, set.issuer); why != "" {
		return why
	}
	if why := t.claims.checkTimes(v.settings.Now(), v.settings.Leeway); why != "" {
		return why
	}
	key := k.key(ctx, t.keyID)
	if key == nil {
		return "kid is not a key of the tenant"
	}
	return t.checkSignature(key)
}

func (v *Verifier) keyringFor(version string) *keyring {
	for _, k := range v.keyrings {
		if k.version == version {
			return k
		}
	}
	return nil
}

// checked fills in the defaults and brings identifiers to the lower case that Entra writes.
func (s Settings) checked() (Settings, error) {
	s.TenantID, s.ClientID = strings.ToLower(s.TenantID), strings.ToLower(s.ClientID)
	callers := []string{PIM}
	if len(s.Callers) > 0 {
		callers = nil
	}
	for _, id := range s.Callers {
		callers = append(callers, strings.ToLower(id))
	}
	s.Callers = callers
	for _, id := range append([]string{s.TenantID, s.ClientID}, callers...) {
		if !isGUID(id) {
			return s, fmt.Errorf("%q is not a GUID", id)
		}
	}
	if s.Leeway == 0 {
		s.Leeway = defaultLeeway
	}
	if s.Leeway < 0 || s.Leeway > maxLeeway {
		return s, fmt.Errorf("leeway %s is not between 0 and %s", s.Leeway, maxLeeway)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return s.withTransport()
}

func (s Settings) withTransport() (Settings, error) {
	if s.Authority == "" {
		s.Authority = DefaultAuthority
	}
	s.Authority = strings.TrimSuffix(s.Authority, "/")
	if err := checkAuthority(s.Authority); err != nil {
		return s, err
	}
	client, err := newClient(s.HTTPClient, s.CAFile)
	s.HTTPClient = client
	return s, err
}

func isGUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		isHyphen := i == 8 || i == 13 || i == 18 || i == 23
		if isHyphen != (c == '-') || !isHyphen && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return false
		}
	}
	return true
}
