package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/entra"
	"github.com/countersign/countersign/gateway/internal/evaluation"
	"github.com/countersign/countersign/gateway/internal/httpapi"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// verifier accepts exactly one Authorization header, "Bearer good".
type verifier struct{}

func (verifier) Verify(_ context.Context, headers []string) (pim.Caller, error) {
	if len(headers) == 1 && headers[0] == "Bearer good" {
		return pim.Caller{TenantID: "t"}, nil
	}
	return pim.Caller{}, fmt.Errorf("%w: %d headers", entra.ErrUnauthorized, len(headers))
}

// answerer keeps the last callout.
type answerer struct{ last evaluation.Callout }

func (a *answerer) Answer(c evaluation.Callout) []byte {
	a.last = c
	return []byte(`{"evaluationId":"1","evaluationOutcome":"Denied","reason":[]}`)
}

func serve(t *testing.T) (*httptest.Server, *answerer, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	a := &answerer{}
	server := httptest.NewServer(httpapi.Callouts{
		Verifier: verifier{}, Answerer: a, Logger: slog.New(slog.NewJSONHandler(&log, nil)),
	}.Handler())
	t.Cleanup(server.Close)
	return server, a, &log
}

func post(t *testing.T, url, token string, change func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	if change != nil {
		change(r)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header
}

func TestStageComesFromThePath(t *testing.T) {
	t.Parallel()
	server, a, _ := serve(t)
	for path, want := range map[string]pim.Stage{"/v1/pim/pre-approval": pim.PreApproval, "/v1/pim/post-approval": pim.PostApproval} {
		status, _, header := post(t, server.URL+path, "Bearer good", nil)
		if status != http.StatusOK || a.last.Stage != want || a.last.Problem != nil {
			t.Errorf("%s: status %d, stage %s, problem %v", path, status, a.last.Stage, a.last.Problem)
		}
		if got := header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
			t.Errorf("content type %q", got)
		}
	}
}

func TestWrongCallersAreAnsweredAlike(t *testing.T) {
	t.Parallel()
	server, a, log := serve(t)
	var bodies []string
	for _, change := range []func(*http.Request){
		nil,
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer bad") },
		func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer good", "Bearer good"} },
		func(r *http.Request) { r.URL.RawQuery = "access_token=good" },
	} {
		status, body, _ := post(t, server.URL+"/v1/pim/pre-approval", "", change)
		if status != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", status)
		}
		bodies = append(bodies, body)
	}
	for _, body := range bodies {
		if body != bodies[0] {
			t.Errorf("%q and %q tell callers apart", body, bodies[0])
		}
	}
	if !a.last.ReceivedAt.IsZero() {
		t.Error("an unauthenticated callout went further")
	}
	if strings.Contains(log.String(), "Bearer") {
		t.Errorf("the log has a token: %s", log)
	}
}

func TestAuthenticatedCallerAlwaysGetsADecision(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"compressed":         func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
		"wrong content type": func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") },
		"no content type":    func(r *http.Request) { r.Header.Del("Content-Type") },
		"utf-16":             func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-16") },
		"too large": func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(io.LimitReader(endless{}, 20<<20)), -1
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, a, _ := serve(t)
			status, _, _ := post(t, server.URL+"/v1/pim/pre-approval", "Bearer good", change)
			if status != http.StatusOK || a.last.Problem == nil || len(a.last.Body) > callout.MaxBody {
				t.Errorf("status %d, problem %v, %d bytes; want 200 and a problem", status, a.last.Problem, len(a.last.Body))
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	server, _, _ := serve(t)
	for _, path := range []string{"/", "/v1/pim/pre-approval/", "/metrics", "/debug/pprof/", "/v1/pim"} {
		status, _, _ := post(t, server.URL+path, "Bearer good", nil)
		if status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
	response, err := http.Get(server.URL + "/v1/pim/pre-approval")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d, want 405", response.StatusCode)
	}
}

// slow takes its time with every token, unless its context ends first.
type slow time.Duration

func (s slow) Verify(ctx context.Context, _ []string) (pim.Caller, error) {
	select {
	case <-time.After(time.Duration(s)):
		return pim.Caller{TenantID: "t"}, nil
	case <-ctx.Done():
		return pim.Caller{}, entra.ErrUnauthorized
	}
}

func TestTokenCheckEndsWithItsPatience(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(httpapi.Callouts{Verifier: slow(time.Hour), Answerer: &answerer{}, Patience: 50 * time.Millisecond}.Handler())
	t.Cleanup(server.Close)
	begun := time.Now()
	status, _, _ := post(t, server.URL+"/v1/pim/pre-approval", "Bearer good", nil)
	if took := time.Since(begun); status != http.StatusUnauthorized || took > 10*time.Second {
		t.Errorf("status %d after %v, want 401 after the patience", status, took)
	}
}

// TestBodyHasItsOwnPatience: a token whose key had to be fetched must not make the body late.
func TestBodyHasItsOwnPatience(t *testing.T) {
	t.Parallel()
	a := &answerer{}
	const patience = 400 * time.Millisecond
	server := httptest.NewServer(httpapi.Callouts{Verifier: slow(patience * 3 / 4), Answerer: a, Patience: patience}.Handler())
	t.Cleanup(server.Close)
	body, pen := io.Pipe()
	time.AfterFunc(patience*5/4, func() { _, _ = pen.Write([]byte("{}")); _ = pen.Close() })
	status, _, _ := post(t, server.URL+"/v1/pim/pre-approval", "Bearer good", func(r *http.Request) {
		r.Body, r.ContentLength = body, -1
	})
	if status != http.StatusOK || a.last.Problem != nil || string(a.last.Body) != "{}" {
		t.Errorf("status %d, body %q, problem %v", status, a.last.Body, a.last.Problem)
	}
}
