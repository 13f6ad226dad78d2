package upstream_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// once fails the first time and answers after that.
func once(fail http.HandlerFunc) http.HandlerFunc {
	failed := false
	return func(w http.ResponseWriter, r *http.Request) {
		if !failed {
			failed = true
			fail(w, r)
			return
		}
		answer(200, "application/json", `{}`)(w, r)
	}
}

func TestAPassingFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]http.HandlerFunc{
		"503":      answer(503, "text/html", ``),
		"429":      answer(429, "application/json", ``),
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half a body": func(w http.ResponseWriter, _ *http.Request) {
			speak(w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
		},
		"Retry-After 0": retryAfter(503, "0"),
		"a past date":   retryAfter(503, "Mon, 02 Jan 2006 15:04:05 GMT"),
		"never answers": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, once(fail))
			if _, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(within(t, 2*time.Second), upstream.Request{Path: "/x"}); err != nil {
				t.Error(err)
			}
			if f.calls.Load() != 2 {
				t.Errorf("%d requests", f.calls.Load())
			}
		})
	}
}

func retryAfter(status int, value string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", value)
		answer(status, "application/json", `{}`)(w, r)
	}
}

func TestALongRetryAfterGivesUpAtOnce(t *testing.T) {
	t.Parallel()
	for value, said := range map[string]string{
		"1": "1s", "120": "2m0s", "9223372037": "1h0m0s", "99999999999999999999999999": "1h0m0s", "Fri, 31 Dec 2999 23:59:59 GMT": "1h0m0s",
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, retryAfter(429, value))
			began := time.Now()
			_, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(within(t, 5*time.Second), upstream.Request{Path: "/x"})
			wantFault(t, err, busy)
			if took := time.Since(began); took > 2*time.Second || f.calls.Load() != 1 {
				t.Errorf("%d requests in %v", f.calls.Load(), took)
			}
			if err != nil && !strings.Contains(err.Error(), "wait "+said) {
				t.Errorf("got %v, want it to say %s", err, said)
			}
		})
	}
}

func TestNonsenseInRetryAfterIsIgnored(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"-1", "1e9", "soon", "0x10"} {
		f := newFar(t, once(retryAfter(429, value)))
		if _, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(within(t, 2*time.Second), upstream.Request{Path: "/x"}); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestOnlyRepeatableRequestsAreRepeated(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		method     string
		repeatable bool
		want       int32
	}{{"GET", false, 2}, {"HEAD", false, 2}, {"POST", false, 1}, {"PUT", false, 1}, {"DELETE", false, 1}, {"POST", true, 2}} {
		f := newFar(t, answer(503, "application/json", ``))
		_, _ = newClient(t, upstream.Options{BaseURL: f.URL}).Do(within(t, 2*time.Second), upstream.Request{
			Method: tc.method, Repeatable: tc.repeatable, Path: "/x", Form: map[string][]string{"a": {"b"}},
		})
		if f.calls.Load() != tc.want {
			t.Errorf("%s: %d requests, want %d", tc.method, f.calls.Load(), tc.want)
		}
	}
}

func TestTheDeadlineIsKept(t *testing.T) {
	t.Parallel()
	drip := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond) // The far end is slow; nothing waits for it.
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		handler  http.HandlerFunc
		deadline time.Duration
		calls    int32
	}{
		"hang":                 {hang, 2 * time.Second, 2},
		"drip":                 {drip, 2 * time.Second, 2},
		"no time for a second": {hang, 400 * time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, tc.handler)
			began := time.Now()
			_, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(within(t, tc.deadline), upstream.Request{Path: "/x"})
			wantFault(t, err, timeout)
			if took := time.Since(began); took > tc.deadline+time.Second || f.calls.Load() != tc.calls {
				t.Errorf("%d requests in %v", f.calls.Load(), took)
			}
		})
	}
}

func TestTheAttemptTimeoutBoundsAnAttempt(t *testing.T) {
	t.Parallel()
	f := newFar(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := newClient(t, upstream.Options{BaseURL: f.URL, Transport: &connectorv1.Transport{AttemptTimeout: durationpb.New(100 * time.Millisecond)}})
	began := time.Now()
	_, err := c.Do(t.Context(), upstream.Request{Path: "/x"})
	wantFault(t, err, timeout)
	if took := time.Since(began); took > 1500*time.Millisecond || f.calls.Load() != 2 {
		t.Errorf("%d requests in %v", f.calls.Load(), took)
	}
}

func TestTheRetryBudgetRunsOut(t *testing.T) {
	t.Parallel()
	f := newFar(t, answer(503, "application/json", ``))
	c := newClient(t, upstream.Options{BaseURL: f.URL})
	for range 20 {
		_, _ = c.Do(within(t, 5*time.Second), upstream.Request{Path: "/x"})
	}
	// Every failure costs one of ten, and retries need more than five: two calls fail twice, then one
	// failure leaves five.
	if got := f.calls.Load(); got != 22 {
		t.Errorf("20 calls made %d requests", got)
	}
}

func TestRedirectsStayOnTheHost(t *testing.T) {
	t.Parallel()
	stranger := newFar(t, answer(200, "application/json", `{}`))
	other := strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1)
	for name, tc := range map[string]struct {
		method, to string
		ok         bool
	}{
		"another port":          {"GET", stranger.URL, false},
		"another name":          {"GET", other, false},
		"another scheme":        {"GET", "https://{host}/y", false},
		"the same host":         {"GET", "/y", true},
		"the same host, a POST": {"POST", "/y", false},
		"in circles":            {"GET", "/x", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/y" {
					answer(200, "application/json", fmt.Sprintf(`{"key":%q}`, r.Header.Get("X-Key")))(w, r)
					return
				}
				http.Redirect(w, r, strings.Replace(tc.to, "{host}", r.Host, 1), http.StatusTemporaryRedirect)
			})
			c := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: upstream.Header("X-Key", canary)})
			resp, err := c.Do(within(t, 2*time.Second), upstream.Request{Method: tc.method, Path: "/x"})
			if tc.ok {
				if err != nil || !strings.Contains(string(resp.Body), canary) {
					t.Errorf("got %v", err)
				}
				return
			}
			wantFault(t, err, malformed)
		})
	}
	t.Cleanup(func() {
		if stranger.calls.Load() != 0 {
			t.Error("the credentials reached another host")
		}
	})
}
