package fault_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
)

// upstream answers "well" unless a fault is in force.
type upstream struct{ fault.Injector }

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if u.Intercept(w, r) {
		return
	}
	body, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, "well"+string(body))
}

func serve(t *testing.T) (*upstream, string) {
	t.Helper()
	u := &upstream{}
	front := httptest.NewServer(u)
	t.Cleanup(front.Close)
	return u, front.URL
}

// post returns status, content type, header X-Why and body of an answer, or why there is none.
func post(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(" asked"))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return strings.Join([]string{resp.Status, resp.Header.Get("Content-Type"), resp.Header.Get("X-Why"), string(body)}, "|"), err
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const well = "200 OK|text/plain; charset=utf-8||well asked"
	for name, c := range map[string]struct {
		fault *fault.Fault
		want  string
	}{
		"none":               {nil, well},
		"zero":               {&fault.Fault{}, well},
		"late":               {&fault.Fault{Delay: time.Millisecond}, well},
		"a status":           {&fault.Fault{Status: 503, Header: http.Header{"X-Why": {"maintenance"}}}, "503 Service Unavailable|application/json|maintenance|"},
		"a body":             {&fault.Fault{Body: "{}"}, "200 OK|application/json||{}"},
		"a page":             {fault.HTML(), "200 OK|text/html; charset=utf-8||" + fault.HTML().Body},
		"something not JSON": {fault.Garbage(), "200 OK|application/json||" + fault.Garbage().Body},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, url := serve(t)
			u.SetFault(c.fault)
			if got, err := post(t.Context(), url); err != nil || got != c.want {
				t.Errorf("got %q %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestAFaultAtAPathLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	u, url := serve(t)
	ask := func(path string) string {
		t.Helper()
		got, err := post(t.Context(), url+path)
		if err != nil {
			t.Fatal(err)
		}
		return got[:3]
	}
	u.SetFaultAt("/time_off/", &fault.Fault{Status: 403})
	if at, beside := ask("/v1/time_off/requests"), ask("/v1/employees?x=/time_off/"); at != "403" || beside != "200" {
		t.Errorf("at the path %s, beside it %s", at, beside)
	}
	u.SetFault(&fault.Fault{Status: 500})
	if everywhere := ask("/v1/employees"); everywhere != "500" {
		t.Errorf("everywhere: %s", everywhere)
	}
	u.SetFault(nil)
	if after := ask("/v1/time_off/requests"); after != "200" {
		t.Errorf("afterwards: %s", after)
	}
}

func TestAnAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	u, url := serve(t)
	u.SetFault(&fault.Fault{Reset: true})
	if got, err := post(t.Context(), url); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q %v", got, err)
	}
}

// The stand-in has to notice that the caller has gone, or it could never be closed.
func TestAnAnswerThatNeverComesEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fault.Fault{"hang": {Hang: true}, "delay": {Delay: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, url := serve(t)
			u.SetFault(f)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if got, err := post(ctx, url); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %q %v", got, err)
			}
		})
	}
}
