package entra_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/countersign/countersign/gateway/internal/entra"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inProcess carries requests to a tenant without a network, so that time can be simulated.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func simulated(id string) (*tenant, entra.Settings) {
	e := &tenant{id: id, answer: map[string]http.HandlerFunc{}, address: "https://login.example"}
	e.keys = []map[string]any{jwk("key-0", rsaKeys()[0]), jwk("key-1", rsaKeys()[1])}
	s := e.settings()
	s.HTTPClient = &http.Client{Transport: inProcess{e}}
	s.Now = time.Now
	return e, s
}

// fresh are claims that were issued this second.
func fresh(t testing.TB, name string) object {
	t.Helper()
	now := time.Now().Unix()
	return claims(t, name).with(object{"iat": now, "nbf": now, "exp": now + 3600})
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func both(t *testing.T, v *entra.Verifier) string {
	t.Helper()
	var all []string
	for _, name := range []string{"v1", "v2"} {
		if r := verify(t, v, bearer(mint(header(), fresh(t, name)))); r != nil {
			all = append(all, name+": "+r.Why)
		}
	}
	return strings.Join(all, ", ")
}

// T11: whoever invents key ids causes one fetch in five minutes for each version.
func TestUnknownKeyIDsAreFetchedForOnce(t *testing.T) {
	t.Parallel()
	e := newTenant(t, tenantID)
	now := atomic.Int64{}
	now.Store(issuedAt + 60)
	s := e.settings()
	s.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	v := start(t, s)
	before := e.keyReads.Load()
	text := claims(t, "v2").json()
	tail := "." + encode(text) + "." + strings.Split(mint(header(), claims(t, "v2")), ".")[2]
	flood := func(n int) {
		for i := range n {
			if verify(t, v, bearer(encode(fmt.Sprintf(`{"alg":"RS256","kid":"random-%d-%d"}`, now.Load(), i))+tail)) == nil {
				t.Fatal("accepted")
			}
		}
	}
	flood(10000)
	if n := e.keyReads.Load() - before; n != 1 {
		t.Errorf("10000 unknown key ids caused %d fetches, want 1", n)
	}
	now.Add(299)
	flood(10)
	if n := e.keyReads.Load() - before; n != 1 {
		t.Errorf("%d fetches within five minutes, want 1", n)
	}
	now.Add(1)
	flood(10)
	if n := e.keyReads.Load() - before; n != 2 {
		t.Errorf("%d fetches after five minutes, want 2", n)
	}
}

// T11: a bad signature, other claims or another tenant never cause one.
func TestOtherRefusalsFetchNothing(t *testing.T) {
	t.Parallel()
	e := newTenant(t, tenantID)
	v := start(t, e.settings())
	before := e.requests.Load()
	unknown := header().with(object{"kid": "unknown"})
	for range 200 {
		for _, token := range []string{
			signWith(rsaKeys()[2], header().json(), claims(t, "v2").json()),
			mint(unknown, claims(t, "bad_other_tenant")),
			mint(unknown, claims(t, "bad_user")),
			mint(unknown, claims(t, "v1").with(object{"aud": "x"})),
			mint(unknown, claims(t, "v1").with(object{"exp": issuedAt - 3000, "iat": issuedAt - 6000})),
		} {
			if verify(t, v, bearer(token)) == nil {
				t.Fatal("accepted")
			}
		}
	}
	if n := e.requests.Load() - before; n != 0 {
		t.Errorf("%d requests", n)
	}
}

// A new key counts with the first token that it signs, and everybody waits for the same fetch.
func TestRotationIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	e := newTenant(t, tenantID)
	v := start(t, e.settings())
	before := e.keyReads.Load()
	e.publish(jwk("key-1", rsaKeys()[1]), jwk("key-2", rsaKeys()[2]))
	began := time.Now()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			token := signWith(rsaKeys()[2], header().with(object{"kid": "key-2"}).json(), claims(t, "v2").json())
			if r := verify(t, v, bearer(token)); r != nil {
				t.Error(r)
			}
		})
	}
	group.Wait()
	if took := time.Since(began); took > time.Second {
		t.Errorf("the new key took %s", took)
	}
	if n := e.keyReads.Load() - before; n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	if verify(t, v, bearer(mint(header(), claims(t, "v2")))) == nil {
		t.Error("the withdrawn key still counts")
	}
	if r := verify(t, v, bearer(mint(header(), claims(t, "v1")))); r != nil {
		t.Errorf("version 1.0 was not asked for again, so that its keys are the old ones: %v", r)
	}
}

// A withdrawn key stops counting within an hour and a bit, without anybody asking.
func TestWithdrawnKeysAreForgotten(t *testing.T) {
	t.Parallel()
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		e, s := simulated(tenantID)
		v := start(t, s)
		e.publish(jwk("key-1", rsaKeys()[1]))
		if why := both(t, v); why != "" {
			t.Fatal(why)
		}
		time.Sleep(67 * time.Minute)
		if why := both(t, v); why != "v1: kid is not a key of the tenant, v2: kid is not a key of the tenant" {
			t.Errorf("after 67 minutes: %s", why)
		}
	})
}

// T11: whatever Entra's address answers, valid tokens pass for 24 hours, and again a minute after it recovers.
func TestLastGoodKeysSurviveAnOutage(t *testing.T) {
	t.Parallel()
	rsaKeys()
	text := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	value := func(value any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, value) }
	}
	good := jwk("key-0", rsaKeys()[0])
	replaced := jwk("key-0", rsaKeys()[2])
	many := make([]map[string]any, 65)
	for i := range many {
		many[i] = jwk(fmt.Sprint("key-", i), rsaKeys()[0])
	}
	metadata := func(edits object) http.HandlerFunc {
		return value(object{"issuer": issuer2(tenantID), "jwks_uri": "https://login.example/" + tenantID + keys2}.with(edits))
	}
	outages := map[string]struct {
		path   string
		answer http.HandlerFunc
	}{
		"garbage":                  {keys2, text(200, "\x00\x01")},
		"nothing":                  {keys2, text(200, "")},
		"a login page":             {keys2, text(200, "<html>sign in</html>")},
		"an array":                 {keys2, text(200, "[]")},
		"no keys":                  {keys2, value(object{"keys": []any{}})},
		"no member keys":           {keys2, value(object{})},
		"keys that are no objects": {keys2, value(object{"keys": []any{good, 1}})},
		"only weak keys":           {keys2, value(object{"keys": []any{object(good).with(object{"e": "Aw"})}})},
		"only foreign keys":        {keys2, value(object{"keys": []any{object(good).with(object{"issuer": issuer2(otherTenant)})}})},
		"a kid for two keys":       {keys2, value(object{"keys": []any{good, replaced}})},
		"65 keys":                  {keys2, value(object{"keys": many})},
		"duplicate members":        {keys2, text(200, `{"keys":[],"keys":[]}`)},
		"257 KiB":                  {keys2, text(200, `{"keys":[],"x":"`+strings.Repeat("x", 257<<10)+`"}`)},
		"an error":                 {keys2, text(500, "{}")},
		"good keys with status 201": {keys2, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			writeJSON(w, object{"keys": []any{good}})
		}},
		"a redirect": {keys2, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/"+tenantID+keys1, http.StatusFound)
		}},
		"silence":                   {keys2, hang},
		"metadata: garbage":         {metadata2, text(200, "{")},
		"metadata: silence":         {metadata2, hang},
		"metadata: not found":       {metadata2, text(404, "{}")},
		"metadata: other tenant":    {metadata2, metadata(object{"issuer": issuer2(otherTenant)})},
		"metadata: placeholder":     {metadata2, metadata(object{"issuer": issuer2("{tenantid}")})},
		"metadata: version 1":       {metadata2, metadata(object{"issuer": issuer1(tenantID)})},
		"metadata: http":            {metadata2, metadata(object{"issuer": "http://login.microsoftonline.com/" + tenantID + "/v2.0"})},
		"metadata: no issuer":       {metadata2, metadata(object{"issuer": remove{}})},
		"metadata: keys elsewhere":  {metadata2, metadata(object{"jwks_uri": "https://keys.example/" + tenantID + keys2})},
		"metadata: another port":    {metadata2, metadata(object{"jwks_uri": "https://login.example:444/" + tenantID + keys2})},
		"metadata: keys by http":    {metadata2, metadata(object{"jwks_uri": "http://login.example/" + tenantID + keys2})},
		"metadata: user in address": {metadata2, metadata(object{"jwks_uri": "https://login.example@login.example/" + tenantID + keys2})},
		"metadata: no key address":  {metadata2, metadata(object{"jwks_uri": nil})},
	}
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, s := simulated(tenantID)
				v := start(t, s)
				e.set(outage.path, outage.answer)
				time.Sleep(24 * time.Hour)
				if why := both(t, v); why != "" {
					t.Fatalf("after 24 hours: %s", why)
				}
				time.Sleep(70 * time.Minute)
				if why := both(t, v); why != "v2: no keys to verify with" {
					t.Errorf("after 25 hours: %q", why)
				}
				if err := v.Ready(); err != nil {
					t.Errorf("version 1.0 works, but: %v", err)
				}
				e.set(outage.path, nil)
				time.Sleep(2 * time.Minute)
				if why := both(t, v); why != "" {
					t.Errorf("two minutes after recovery: %s", why)
				}
			})
		})
	}
}

func TestReadyEndsWithTheKeys(t *testing.T) {
	t.Parallel()
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		e, s := simulated(tenantID)
		v := start(t, s)
		if err := v.Ready(); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{metadata1, metadata2} {
			e.set(path, hang)
		}
		time.Sleep(26 * time.Hour)
		if err := v.Ready(); err == nil || !strings.Contains(err.Error(), "older than 24 hours") {
			t.Errorf("Ready: %v", err)
		}
	})
}

// T11: a set that shares no key with the current one has to last five minutes, and is logged.
func TestForeignKeySetIsRefusedForFiveMinutes(t *testing.T) {
	t.Parallel()
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		e, s := simulated(tenantID)
		log := &lockedBuffer{}
		s.Logger = slog.New(slog.NewJSONHandler(log, nil))
		v := start(t, s)
		stranger := func(t *testing.T) *entra.Rejection {
			t.Helper()
			return verify(t, v, bearer(signWith(rsaKeys()[2], header().with(object{"kid": "key-2"}).json(), fresh(t, "v2").json())))
		}
		e.publish(jwk("key-2", rsaKeys()[2]))
		if stranger(t) == nil {
			t.Fatal("a set without any known key was believed at once")
		}
		if why := both(t, v); why != "" {
			t.Fatalf("the known keys stopped counting: %s", why)
		}
		if !strings.Contains(log.String(), `"level":"WARN","msg":"signing keys not refreshed","token_version":"2.0","error":"the new keys share none with the current ones"`) {
			t.Errorf("log: %s", log.String())
		}
		time.Sleep(4 * time.Minute)
		if stranger(t) == nil || both(t, v) != "" {
			t.Error("believed within five minutes")
		}
		time.Sleep(150 * time.Second)
		if r := stranger(t); r != nil {
			t.Errorf("after six and a half minutes: %v", r)
		}
	})
}

// The same key id with another key is another key.
func TestReplacedKeyMaterialIsSuspect(t *testing.T) {
	t.Parallel()
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		e, s := simulated(tenantID)
		v := start(t, s)
		forged := func() string { return signWith(rsaKeys()[2], header().json(), fresh(t, "v2").json()) }
		e.publish(jwk("key-0", rsaKeys()[2]))
		if verify(t, v, bearer(mint(header().with(object{"kid": "unknown"}), fresh(t, "v2")))) == nil {
			t.Fatal("an unknown key id was accepted")
		}
		if verify(t, v, bearer(forged())) == nil || both(t, v) != "" {
			t.Error("a set that shares only a key id was believed at once")
		}
		time.Sleep(390 * time.Second)
		if r := verify(t, v, bearer(forged())); r != nil {
			t.Errorf("after six and a half minutes: %v", r)
		}
	})
}

// T6: Entra signs for all tenants with the same keys.
func TestTokensOfATenantWithTheSameKeysAreRefused(t *testing.T) {
	t.Parallel()
	mine := start(t, newTenant(t, tenantID).settings())
	theirs := start(t, newTenant(t, otherTenant).settings())
	for _, name := range []string{"v1", "v2"} {
		own := claims(t, name)
		issuer := map[string]string{"v1": issuer1(otherTenant), "v2": issuer2(otherTenant)}[name]
		foreign := own.with(object{"tid": otherTenant, "iss": issuer})
		for _, test := range []struct {
			v    *entra.Verifier
			c    object
			want bool
		}{
			{mine, own, true},
			{mine, foreign, false},
			{theirs, own, false},
			{theirs, foreign, true},
			{mine, own.with(object{"tid": otherTenant}), false},
			{mine, own.with(object{"iss": issuer}), false},
			{theirs, own.with(object{"tid": otherTenant}), false},
			{theirs, own.with(object{"iss": issuer}), false},
		} {
			if got := verify(t, test.v, bearer(mint(header(), test.c))) == nil; got != test.want {
				t.Errorf("%s, tid %s, iss %s: accepted %v, want %v", name, test.c["tid"], test.c["iss"], got, test.want)
			}
		}
	}
}

// A caller that waits for a forced refresh waits three seconds at most, and no longer than its request.
func TestForcedRefreshIsBounded(t *testing.T) {
	t.Parallel()
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		e, s := simulated(tenantID)
		v := start(t, s)
		e.set(keys2, hang)
		unknown := mint(header().with(object{"kid": "unknown"}), fresh(t, "v2"))
		began := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := v.Verify(ctx, bearer(unknown)); err == nil || time.Since(began) != time.Second {
				t.Errorf("with a deadline of a second: %v after %s", err, time.Since(began))
			}
		})
		if verify(t, v, bearer(unknown)) == nil || time.Since(began) != 3*time.Second {
			t.Errorf("without: %s", time.Since(began))
		}
		group.Wait()
		if why := both(t, v); why != "" {
			t.Error(why)
		}
	})
}

func TestStartIsBounded(t *testing.T) {
	t.Parallel()
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		e, s := simulated(tenantID)
		for _, path := range []string{metadata1, metadata2} {
			e.set(path, hang)
		}
		began := time.Now()
		v, err := entra.New(t.Context(), s)
		if err == nil {
			t.Error("started without keys")
			_ = v.Close()
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("New took %s", took)
		}
	})
}

func TestCloseWaits(t *testing.T) {
	t.Parallel()
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		e, s := simulated(tenantID)
		v, err := entra.New(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		e.set(metadata1, hang)
		time.Sleep(67 * time.Minute) // it is in the middle of a fetch, or waits for the next
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		before := e.requests.Load()
		time.Sleep(24 * time.Hour)
		if n := e.requests.Load() - before; n != 0 {
			t.Errorf("%d requests after Close", n)
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
