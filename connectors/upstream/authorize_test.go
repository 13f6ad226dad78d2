package upstream_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// issuer hands out token-1, token-2, … that live half an hour.
func issuer(t *testing.T) (*far, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	return newFar(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_secret") != canary {
			answer(401, "application/json", `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret `+canary+`"}`)(w, r)
			return
		}
		answer(200, "application/json", fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":"1800"}`, n.Add(1)))(w, r)
	}), &n
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func tokens(t *testing.T, url, secret string, c *clock) upstream.Authorize {
	t.Helper()
	authorize, err := upstream.ClientCredentials(upstream.TokenOptions{
		Credentials: &connectorv1.ClientCredentials{TokenUrl: url + "/oauth_token.do", ClientId: "me", ClientSecret: secret, Scopes: []string{"a", "b"}},
		Now:         c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return authorize
}

func echo(w http.ResponseWriter, r *http.Request) {
	answer(200, "application/json", fmt.Sprintf("%q", r.Header.Get("Authorization")))(w, r)
}

func ask(t *testing.T, c *upstream.Client) string {
	t.Helper()
	var got string
	if _, err := c.JSON(within(t, 5*time.Second), upstream.Request{Path: "/x"}, &got); err != nil {
		t.Error(err)
	}
	return got
}

func TestATokenIsSharedAndReplacedEarly(t *testing.T) {
	t.Parallel()
	at, _ := issuer(t)
	f := newFar(t, echo)
	now := &clock{now: time.Now()}
	c := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: tokens(t, at.URL, canary, now)})

	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := ask(t, c); got != "Bearer token-1" {
				t.Errorf("sent %q", got)
			}
		})
	}
	all.Wait()
	now.advance(29*time.Minute - time.Second)
	if got := ask(t, c); got != "Bearer token-1" || at.calls.Load() != 1 {
		t.Errorf("sent %q after %d tokens", got, at.calls.Load())
	}
	now.advance(2 * time.Second)
	if got := ask(t, c); got != "Bearer token-2" {
		t.Errorf("sent %q, 59 s before the end of the token", got)
	}
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	at, _ := issuer(t)
	f := newFar(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-2" {
			answer(401, "application/json", `{}`)(w, r)
			return
		}
		echo(w, r)
	})
	now := &clock{now: time.Now()}
	c := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: tokens(t, at.URL, canary, now)})
	_, err := c.Do(within(t, 5*time.Second), upstream.Request{Path: "/x"})
	wantFault(t, err, denied) // The token is brand-new: another would fare no better.
	if at.calls.Load() != 1 || f.calls.Load() != 1 {
		t.Errorf("%d tokens for %d requests", at.calls.Load(), f.calls.Load())
	}
	now.advance(time.Minute)
	if got := ask(t, c); got != "Bearer token-2" || at.calls.Load() != 2 || f.calls.Load() != 3 {
		t.Errorf("sent %q; %d tokens for %d requests", got, at.calls.Load(), f.calls.Load())
	}
}

func TestAWrongPasswordIsSentOnce(t *testing.T) {
	t.Parallel()
	f := newFar(t, answer(401, "application/json", `{}`))
	for _, authorize := range []upstream.Authorize{upstream.Basic("me", "pw"), upstream.Bearer("x"), upstream.Header("X-Key", "x"), nil} {
		before := f.calls.Load()
		_, err := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: authorize}).Do(within(t, 5*time.Second), upstream.Request{Path: "/x"})
		wantFault(t, err, denied)
		if sent := f.calls.Load() - before; sent != 1 {
			t.Errorf("sent %d times", sent)
		}
	}
}

func TestATokenEndpointThatFails(t *testing.T) {
	t.Parallel()
	token := func(body string) http.HandlerFunc { return answer(200, "application/json", body) }
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    connectorv1.FaultKind
	}{
		"unknown client":  {answer(400, "application/json", `{"error":"invalid_scope"}`), denied},
		"not there":       {answer(404, "application/json", `{}`), denied},
		"outage":          {answer(503, "text/html", ``), unavailable},
		"too busy":        {answer(429, "text/html", ``), busy},
		"login page":      {answer(200, "text/html", `<html>`), malformed},
		"no token":        {token(`{"token_type":"Bearer","expires_in":1}`), malformed},
		"another type":    {token(`{"access_token":"x","token_type":"mac"}`), malformed},
		"line break":      {token(`{"access_token":"x\r\nX-Evil: 1","token_type":"bearer"}`), malformed},
		"very long token": {token(`{"access_token":"` + strings.Repeat("x", 20<<10) + `","token_type":"bearer"}`), malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, f := newFar(t, tc.handler), newFar(t, echo)
			c := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: tokens(t, at.URL, canary, &clock{now: time.Now()})})
			_, err := c.Do(within(t, 3*time.Second), upstream.Request{Path: "/x"})
			wantFault(t, err, tc.want)
			if f.calls.Load() != 0 {
				t.Error("asked without a token")
			}
		})
	}
}

func TestABadSecretIsNamedByItsCodesOnly(t *testing.T) {
	t.Parallel()
	at, _ := issuer(t)
	f := newFar(t, echo)
	c := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: tokens(t, at.URL, "wrong", &clock{now: time.Now()})})
	_, err := c.Do(within(t, 3*time.Second), upstream.Request{Path: "/x"})
	wantFault(t, err, denied)
	if !strings.Contains(err.Error(), "invalid_client (AADSTS7000215)") || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
}

func TestWaitingForATokenEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	at := newFar(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	f := newFar(t, echo)
	c := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: tokens(t, at.URL, canary, &clock{now: time.Now()})})
	began := time.Now()
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			_, err := c.Do(within(t, 400*time.Millisecond), upstream.Request{Path: "/x"})
			wantFault(t, err, timeout)
		})
	}
	all.Wait()
	if took := time.Since(began); took > 1800*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestTokenSettings(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://login.example/token", "https://login.example/token?x=y", "https://a:b@login.example/token", "https://169.254.169.254/token"} {
		_, err := upstream.ClientCredentials(upstream.TokenOptions{
			Credentials: &connectorv1.ClientCredentials{TokenUrl: url}, Setting: "auth.client_credentials.token_url",
		})
		got := upstream.Diagnostics(err)
		if len(got) == 0 || got[0].GetFieldPath() != "auth.client_credentials.token_url" {
			t.Errorf("%q: %v", url, got)
		}
	}
}
