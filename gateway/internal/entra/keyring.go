package entra

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Times of the key cache. All but the retry are Microsoft's own rules for signing key rollover:
// https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
const (
	refreshEvery  = time.Hour
	retryAfter    = time.Minute
	keepKeys      = 24 * time.Hour  // through an outage of Entra
	forcedAtMost  = 5 * time.Minute // one refresh for an unknown key id in this time
	suspectFor    = 5 * time.Minute // a set without any key of the current one
	longestForced = 3 * time.Second // how long a callout waits for a forced refresh
	longestFetch  = 5 * time.Second
)

// keySet is what one fetch brought. It is never changed.
type keySet struct {
	issuer  string
	keys    map[string]*rsa.PublicKey
	fetched time.Time
}

// keyring keeps the keys of one token version.
type keyring struct {
	version string
	now     func() time.Time
	logger  *slog.Logger
	source  source
	cache   *cacheFile
	jitter  func(time.Duration) time.Duration

	set       atomic.Pointer[keySet]
	failure   atomic.Pointer[error] // of the last fetch; nil if it went well or none is over
	attempted chan struct{}         // closed after the first fetch
	stopped   chan struct{}         // closed when run returns
	forced    chan struct{}         // asks run for a fetch

	mu         sync.Mutex
	lastForced time.Time
	flight     chan struct{} // closed when the forced fetch is over; nil if there is none

	// suspect is a set that shares nothing with the current one, and when it was seen first. Only run
	// uses it.
	suspect      string
	suspectSince time.Time
}

func newKeyring(version string, s Settings, source source, cache *cacheFile) *keyring {
	return &keyring{
		version: version, now: s.Now, source: source, cache: cache, jitter: tenPercent,
		logger:    s.Logger.With(slog.String("token_version", version)),
		attempted: make(chan struct{}), stopped: make(chan struct{}), forced: make(chan struct{}, 1),
	}
}

// tenPercent spreads the refreshes of many gateways.
func tenPercent(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5) //nolint:gosec // load spreading, no secret
}

// current is the set to verify with, unless it is too old.
func (k *keyring) current() (*keySet, error) {
	set := k.set.Load()
	switch {
	case set == nil:
		return nil, fmt.Errorf("%w for tokens of version %s: %w", ErrNoKeys, k.version, k.cause())
	case k.now().Sub(set.fetched) > keepKeys:
		return nil, fmt.Errorf("keys for tokens of version %s are older than 24 hours: %w", k.version, k.cause())
	}
	return set, nil
}

// errUnanswered is the cause while the first fetch is under way.
var errUnanswered = errors.New("no answer yet")

// cause says why there are no newer keys.
func (k *keyring) cause() error {
	if failure := k.failure.Load(); failure != nil {
		return *failure
	}
	return errUnanswered
}

// key looks a key up. Only where the id is unknown it waits for a fetch, and only if none was forced in the
// last five minutes.
func (k *keyring) key(ctx context.Context, id string) *rsa.PublicKey {
	set, err := k.current()
	if err != nil {
		return nil
	}
	if key := set.keys[id]; key != nil {
		return key
	}
	done := k.force()
	if done == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longestForced)
	defer cancel()
	select {
	case <-done:
	case <-k.stopped:
	case <-ctx.Done():
	}
	return k.set.Load().keys[id]
}

// force asks for a fetch and says when it is over; nil means that it is too early. Everybody who asks
// meanwhile waits for the same one.
func (k *keyring) force() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight != nil {
		return k.flight
	}
	now := k.now()
	if !k.lastForced.IsZero() && now.Sub(k.lastForced) < forcedAtMost {
		return nil
	}
	k.lastForced = now
	k.flight = make(chan struct{})
	k.forced <- struct{}{} // never waits: one place, one flight
	return k.flight
}

func (k *keyring) land() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.flight)
	k.flight = nil
}

// run is the only one that fetches, so that two fetches never race for the set.
func (k *keyring) run(ctx context.Context) {
	defer close(k.stopped)
	timer := time.NewTimer(k.refresh(ctx))
	defer timer.Stop()
	close(k.attempted)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(k.refresh(ctx))
		case <-k.forced:
			timer.Reset(k.refresh(ctx))
			k.land()
		}
	}
}

// refresh fetches once and says when to do so again.
func (k *keyring) refresh(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, longestFetch)
	defer cancel()
	next, err := k.source.fetch(ctx, k.version)
	if err == nil {
		next.fetched = k.now()
		err = k.accept(next)
	}
	if err != nil {
		k.failure.Store(&err)
		k.logger.WarnContext(ctx, "signing keys not refreshed", slog.Any("error", err))
		return k.jitter(retryAfter)
	}
	k.failure.Store(nil)
	k.logger.DebugContext(ctx, "signing keys refreshed", slog.Int("keys", len(next.keys)))
	if err := k.cache.save(); err != nil {
		k.logger.WarnContext(ctx, "signing keys not kept on disk", slog.Any("error", err))
	}
	return k.jitter(refreshEvery)
}

// accept replaces the set. Entra publishes new keys long before it uses them, so that a set which shares no
// key with the current one is more likely somebody else's: it must still be there after five minutes.
func (k *keyring) accept(next *keySet) error {
	current, err := k.current()
	if err == nil && !current.shares(next) {
		print := next.print()
		if print != k.suspect {
			k.suspect, k.suspectSince = print, next.fetched
		}
		if next.fetched.Sub(k.suspectSince) < suspectFor {
			return errors.New("the new keys share none with the current ones")
		}
	}
	k.suspect = ""
	k.set.Store(next)
	return nil
}

func (s *keySet) shares(other *keySet) bool {
	for id, key := range s.keys {
		if known := other.keys[id]; known != nil && key.Equal(known) {
			return s.issuer == other.issuer
		}
	}
	return false
}

// print identifies a set by everything in it.
func (s *keySet) print() string {
	var parts []string
	for id, key := range s.keys {
		parts = append(parts, id+" "+key.N.Text(16))
	}
	slices.Sort(parts)
	return s.issuer + "\n" + strings.Join(parts, "\n")
}
