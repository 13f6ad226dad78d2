package sim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

const approved = `{"evaluationId":"e-1","evaluationOutcome":"Approved","reason":[]}`

func answering(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func endpoint(t *testing.T, serve http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	return server.URL
}

func TestActivateDeliversOnceWhenAnswered(t *testing.T) {
	t.Parallel()
	var seen atomic.Pointer[http.Request]
	var body atomic.Value
	target := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		seen.Store(r.Clone(context.Background()))
		body.Store(string(text))
		answering(approved)(w, r)
	})
	p := sim.PIM{Target: target + "/v1/pim/pre-approval?sig=%2F", Retries: 3, Token: func(context.Context) (string, error) { return "abc", nil }}
	d := p.Activate(t.Context(), sim.Request{Body: []byte(`{"a":1}`)})
	if d.Err != nil || d.Answer == nil || d.Answer.Outcome != pim.Approved || len(d.Attempts) != 1 || d.Attempts[0].Took <= 0 {
		t.Fatalf("delivery %+v", d)
	}
	r := seen.Load()
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/v1/pim/pre-approval?sig=%2F" || body.Load() != `{"a":1}` ||
		r.Header.Get("Authorization") != "Bearer abc" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
}

func TestActivateTriesAgainAsOftenAsRegistered(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]http.HandlerFunc{
		"status 503":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"status 401":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"a broken connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			target := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					t.Error("a redirect was followed")
				}
				calls.Add(1)
				serve(w, r)
			})
			d := sim.PIM{Target: target, Retries: 2}.Activate(t.Context(), sim.Request{})
			if len(d.Attempts) != 3 || calls.Load() != 3 || d.Answer != nil || d.Err == nil {
				t.Errorf("%d attempts, %d calls, answer %v, error %v", len(d.Attempts), calls.Load(), d.Answer, d.Err)
			}
		})
	}
}

func TestActivateDoesNotRepeatAfterABadAnswer(t *testing.T) {
	t.Parallel()
	d := sim.PIM{Target: endpoint(t, answering(`{}`)), Retries: 5}.Activate(t.Context(), sim.Request{})
	if len(d.Attempts) != 1 || d.Answer != nil || d.Err == nil || d.Status() != http.StatusOK {
		t.Errorf("delivery %+v", d)
	}
}

func TestActivateStopsAtTheTimeoutAndGetsTheRepeatAnswered(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	target := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		answering(approved)(w, r)
	})
	d := sim.PIM{Target: target, Retries: 1}.Activate(t.Context(), sim.Request{HangUpAfter: 30 * time.Millisecond})
	if len(d.Attempts) != 2 || d.Answer == nil {
		t.Fatalf("delivery %+v", d)
	}
	first := d.Attempts[0]
	if !errors.Is(first.Err, context.DeadlineExceeded) || first.Status != 0 || first.Took < 30*time.Millisecond || first.Took > 5*time.Second {
		t.Errorf("first attempt %+v", first)
	}
}

func TestTheTimeoutCoversTheBody(t *testing.T) {
	t.Parallel()
	target := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, approved[:10])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	d := sim.PIM{Target: target}.Activate(t.Context(), sim.Request{HangUpAfter: 30 * time.Millisecond})
	if d.Answer != nil || !errors.Is(d.Err, context.DeadlineExceeded) {
		t.Errorf("delivery %+v", d)
	}
}

func TestCopiesAreUnderWayAtTheSameTime(t *testing.T) {
	t.Parallel()
	const copies = 4
	var all sync.WaitGroup
	all.Add(copies)
	var n atomic.Int32
	answers := []string{approved, approved, approved, `{"evaluationId":"e-2","evaluationOutcome":"Denied","reason":[]}`}
	target := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		all.Done()
		all.Wait()
		answering(answers[n.Add(1)-1])(w, r)
	})
	d := sim.PIM{Target: target}.Activate(t.Context(), sim.Request{Copies: copies})
	if len(d.Attempts) != copies || d.Answer == nil {
		t.Fatalf("delivery %+v", d)
	}
	if d.Identical() {
		t.Error("different answers count as identical")
	}
}

func TestIdenticalComparesBytes(t *testing.T) {
	t.Parallel()
	d := sim.PIM{Target: endpoint(t, answering(approved))}.Activate(t.Context(), sim.Request{Copies: 3})
	if !d.Identical() {
		t.Error("the same answer counts as different")
	}
}

func TestRegistrationHasLimits(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]sim.PIM{
		"timeout below 1 s":    {Target: "https://a.example", Timeout: time.Second - 1},
		"timeout beyond 60 s":  {Target: "https://a.example", Timeout: time.Minute + 1},
		"retries below 0":      {Target: "https://a.example", Retries: -1},
		"retries beyond 5":     {Target: "https://a.example", Retries: 6},
		"target not absolute":  {Target: "/v1/pim/pre-approval"},
		"target not HTTP":      {Target: "ftp://a.example/"},
		"target not parseable": {Target: "https://a.example/%zz"},
	} {
		if d := p.Activate(t.Context(), sim.Request{}); d.Err == nil || len(d.Attempts) != 0 {
			t.Errorf("%s: delivered", name)
		}
	}
	if err := (sim.PIM{Target: "https://a.example/x", Timeout: time.Minute, Retries: 5}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestActivateGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	target := endpoint(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	})
	d := sim.PIM{Target: target, Retries: 5}.Activate(ctx, sim.Request{})
	if len(d.Attempts) != 1 || d.Err == nil {
		t.Errorf("%d attempts after the context ended, error %v", len(d.Attempts), d.Err)
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	target := endpoint(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	sealed := errors.New("sealed")
	d := sim.PIM{Target: target, Token: func(context.Context) (string, error) { return "", sealed }}.Activate(t.Context(), sim.Request{})
	if !errors.Is(d.Err, sealed) || calls.Load() != 0 {
		t.Errorf("error %v after %d calls", d.Err, calls.Load())
	}
}

func TestARequestsOwnTokenCounts(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	target := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		answering(approved)(w, r)
	})
	p := sim.PIM{Target: target, Token: func(context.Context) (string, error) { return "pim", nil }}
	if d := p.Activate(t.Context(), sim.Request{Token: "other"}); d.Err != nil || got.Load() != "Bearer other" {
		t.Errorf("authorization %v, error %v", got.Load(), d.Err)
	}
}
