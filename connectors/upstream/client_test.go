package upstream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

const (
	canary = "canary-7b1c2f6a9d3e"

	unavailable = connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE
	timeout     = connectorv1.FaultKind_FAULT_KIND_TIMEOUT
	denied      = connectorv1.FaultKind_FAULT_KIND_DENIED
	malformed   = connectorv1.FaultKind_FAULT_KIND_MALFORMED
	busy        = connectorv1.FaultKind_FAULT_KIND_BUSY
)

// far is the far end: it counts what reaches it.
type far struct {
	*httptest.Server
	calls atomic.Int32
}

func newFar(t *testing.T, h http.HandlerFunc) *far {
	t.Helper()
	f := &far{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.calls.Add(1)
		h(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func newClient(t *testing.T, o upstream.Options) *upstream.Client {
	t.Helper()
	c, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func wantFault(t *testing.T, err error, want connectorv1.FaultKind) {
	t.Helper()
	kind, _, isFault := finding.Of(err)
	if !isFault || kind != want {
		t.Errorf("got %v (%v), want %v", kind, err, want)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestDoTurnsAnswersIntoFindings(t *testing.T) {
	t.Parallel()
	const asJSON = "application/json"
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    connectorv1.FaultKind
		calls   int32
	}{
		"400":                       {answer(400, asJSON, `{}`), malformed, 1},
		"401":                       {answer(401, asJSON, `{}`), denied, 1},
		"403":                       {answer(403, asJSON, `{}`), denied, 1},
		"404 with HTML":             {answer(404, "text/html; charset=utf-8", `<html>`), malformed, 1},
		"429":                       {answer(429, asJSON, `{}`), busy, 2},
		"500":                       {answer(500, asJSON, `{}`), unavailable, 2},
		"501":                       {answer(501, asJSON, `{}`), unavailable, 1},
		"503":                       {answer(503, "text/html", `<html>`), unavailable, 2},
		"200 with HTML":             {answer(200, "text/html", `<h1>Your instance is hibernating</h1>`), malformed, 1},
		"200 with text":             {answer(200, "text/plain", `{}`), malformed, 1},
		"200 in UTF-16":             {answer(200, "application/json; charset=utf-16", `{}`), malformed, 1},
		"200 without a body":        {answer(200, asJSON, ``), malformed, 1},
		"200 with garbage":          {answer(200, asJSON, `}{`), malformed, 1},
		"200 with more after it":    {answer(200, asJSON, `{} {}`), malformed, 1},
		"200 with a name twice":     {answer(200, asJSON, `{"a":"x","a":"y"}`), malformed, 1},
		"200 with escaped name":     {answer(200, asJSON, `{"a":"x","\u0061":"y"}`), malformed, 1},
		"200 with broken UTF-8":     {answer(200, asJSON, "{\"a\":\"\xff\"}"), malformed, 1},
		"200 with the wrong type":   {answer(200, asJSON, `{"a":1}`), malformed, 1},
		"200 that is too large":     {answer(200, asJSON, `"`+strings.Repeat("x", 2<<20)+`"`), malformed, 1},
		"200 that unpacks to a lot": {gzipBomb, malformed, 1},
		"200 in unasked encoding":   {unaskedEncoding, malformed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, tc.handler)
			var into struct {
				A string `json:"a"`
			}
			_, err := newClient(t, upstream.Options{BaseURL: f.URL}).JSON(within(t, 5*time.Second), upstream.Request{Path: "/x"}, &into)
			wantFault(t, err, tc.want)
			if got := f.calls.Load(); got != tc.calls {
				t.Errorf("%d requests were sent, want %d", got, tc.calls)
			}
		})
	}
}

// gzipBomb unpacks to spaces without end: members of a gzip stream may follow each other (RFC 1952).
func gzipBomb(w http.ResponseWriter, _ *http.Request) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, _ = z.Write(bytes.Repeat([]byte{' '}, 1<<20))
	_ = z.Close()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	for {
		if _, err := w.Write(member.Bytes()); err != nil {
			return
		}
	}
}

func unaskedEncoding(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "br")
	_, _ = io.WriteString(w, `{"a":"x"}`)
}

func TestOnlyARefusedQuestionIsTheQuestionsFault(t *testing.T) {
	t.Parallel()
	f := newFar(t, answer(400, "application/json", `{}`))
	_, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(t.Context(), upstream.Request{Path: "/x"})
	if _, source, _ := finding.Of(err); source != connectorv1.FaultSource_FAULT_SOURCE_QUESTION {
		t.Errorf("a 400 is the fault of %v", source)
	}
}

func TestNotFoundIsKnowledge(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"with JSON":      answer(404, "application/json", `{}`),
		"without a body": answer(404, "", ``),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, handler)
			_, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(t.Context(), upstream.Request{Path: "/x"})
			if _, _, isFault := finding.Of(err); err == nil || isFault {
				t.Errorf("got %v, want not found", err)
			}
		})
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		demanded, got string
		ok            bool
	}{
		{"", "application/json", true},
		{"", "Application/JSON;charset=UTF-8", true},
		{"", "application/problem+json", true},
		{"", "application/scim+json; charset=utf-8", true},
		{"", "application/xml", false},
		{"", "text/json+html", false},
		{"text/calendar", "text/calendar; charset=utf-8", true},
		{"text/calendar", "application/json", false},
		{"text/calendar", "text/html", false},
	} {
		f := newFar(t, answer(200, tc.got, `{}`))
		_, err := newClient(t, upstream.Options{BaseURL: f.URL, MediaType: tc.demanded}).Do(t.Context(), upstream.Request{Path: "/x"})
		if (err == nil) != tc.ok {
			t.Errorf("demanded %q, got %q: %v", tc.demanded, tc.got, err)
		}
	}
}

func TestAcceptedStatusesAreHandedBack(t *testing.T) {
	t.Parallel()
	f := newFar(t, answer(404, "application/json", `{"error":1}`))
	resp, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(t.Context(), upstream.Request{Path: "/x", Accept: []int{404}})
	if err != nil || resp.Status != 404 || string(resp.Body) != `{"error":1}` {
		t.Errorf("got %+v, %v", resp, err)
	}
}

func TestRequestsSayWhatTheyAsk(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	f := newFar(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	})
	c := newClient(t, upstream.Options{
		BaseURL: f.URL + "/base/", Header: http.Header{"X-Version": {"2"}}, Authorize: upstream.Basic("me", "pw"),
	})
	_, err := c.Do(t.Context(), upstream.Request{
		Method: "POST", Path: upstream.Path("a/b", "c d?e#f", "ü"), Query: url.Values{"q": {"x&y"}}, Body: map[string]int{"n": 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.RequestURI != "/base/a%2Fb/c%20d%3Fe%23f/%C3%BC?q=x%26y" {
		t.Errorf("asked for %s", got.RequestURI)
	}
	if user, password, _ := got.BasicAuth(); user != "me" || password != "pw" {
		t.Error("the credentials did not arrive")
	}
	if got.Header.Get("X-Version") != "2" || got.Header.Get("Accept") != "application/json" || string(body) != `{"n":1}` {
		t.Errorf("got %v %s", got.Header, body)
	}
}

func TestPathsThatLeadElsewhereAreNotSent(t *testing.T) {
	t.Parallel()
	f := newFar(t, answer(200, "application/json", `{}`))
	c := newClient(t, upstream.Options{BaseURL: f.URL})
	for _, path := range []string{
		upstream.Path("users", ""), upstream.Path("users", "."), upstream.Path("users", "..", "admin"), "/users/%2e%2e/x", "/a?b", "/a#b", "a", `/a\b`,
		"/%zz",
	} {
		_, err := c.Do(t.Context(), upstream.Request{Path: path})
		if _, source, _ := finding.Of(err); source != connectorv1.FaultSource_FAULT_SOURCE_QUESTION {
			t.Errorf("%s: %v", path, err)
		}
	}
	if f.calls.Load() != 0 {
		t.Error("something was sent")
	}
}

func TestErrorsNeverShowSecrets(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"refusal":       answer(401, "application/json", canary),
		"other refusal": answer(418, "application/json", canary),
		"outage":        answer(500, "text/html", canary),
		"another type":  answer(200, canary+"/x", canary),
		"not JSON":      answer(200, "application/json", `{"`+canary+`":`),
		"a name twice":  answer(200, "application/json", `{"`+canary+`":1,"`+canary+`":2}`),
		"another shape": answer(200, "application/json", `{"a":{"`+canary+`":1}}`),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://x.example/"+canary, http.StatusFound)
		},
		"odd redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://x.example/%zz"+canary)
			w.WriteHeader(http.StatusFound)
		},
		"hangs up":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"broken headers": func(w http.ResponseWriter, _ *http.Request) { speak(w, canary+" nonsense\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, handler)
			c := newClient(t, upstream.Options{BaseURL: f.URL, Authorize: upstream.Bearer(canary), Header: http.Header{"X-Key": {canary}}})
			var into struct {
				A string `json:"a"`
			}
			_, err := c.JSON(within(t, 3*time.Second), upstream.Request{
				Path: upstream.Path("users", canary), Query: url.Values{"q": {canary}},
			}, &into)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error shows it: %v", err)
			}
		})
	}
}

// speak takes the connection over and says exactly this.
func speak(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

func TestTheObservationCountsAttempts(t *testing.T) {
	t.Parallel()
	f := newFar(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req-1\u00a0"+strings.Repeat("y", 200))
		answer(503, "application/json", `{}`)(w, r)
	})
	ctx, recorder := finding.WithRecorder(t.Context())
	_, err := newClient(t, upstream.Options{BaseURL: f.URL, RequestID: "X-Request-Id"}).Do(ctx, upstream.Request{Path: "/x"})
	wantFault(t, err, unavailable)
	resp := &ticketv1.GetTicketResponse{Observation: &connectorv1.Observation{}}
	if err := recorder.Complete(resp, time.Now()); err != nil {
		t.Fatal(err)
	}
	o := resp.GetObservation()
	if o.GetAttempts() != 2 || !strings.HasPrefix(o.GetUpstreamRequestId(), "req-1yyy") || len(o.GetUpstreamRequestId()) != 128 {
		t.Errorf("got %v", o)
	}
}

func TestNewNamesEveryWrongSetting(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options upstream.Options
		want    []string
	}{
		"nothing":            {upstream.Options{}, []string{"base_url"}},
		"no scheme":          {upstream.Options{BaseURL: "acme.example"}, []string{"base_url"}},
		"plain http":         {upstream.Options{BaseURL: "http://acme.example"}, []string{"base_url"}},
		"plain http, almost": {upstream.Options{BaseURL: "http://localhost.example"}, []string{"base_url"}},
		"a file":             {upstream.Options{BaseURL: "file:///etc/passwd"}, []string{"base_url"}},
		"ftp":                {upstream.Options{BaseURL: "ftp://127.0.0.1"}, []string{"base_url"}},
		"a password":         {upstream.Options{BaseURL: "https://a:b@acme.example"}, []string{"base_url"}},
		"a query":            {upstream.Options{BaseURL: "https://acme.example/?x=1"}, []string{"base_url"}},
		"dots":               {upstream.Options{BaseURL: "https://acme.example/a/../b"}, []string{"base_url"}},
		"metadata":           {upstream.Options{BaseURL: "https://169.254.169.254/"}, []string{"base_url"}},
		"metadata, mapped":   {upstream.Options{BaseURL: "https://[::ffff:169.254.169.254]/"}, []string{"base_url"}},
		"metadata, NAT64":    {upstream.Options{BaseURL: "https://[64:ff9b::a9fe:a9fe]/"}, []string{"base_url"}},
		"metadata, IPv6":     {upstream.Options{BaseURL: "https://[fd00:ec2::254]/"}, []string{"base_url"}},
		"link-local":         {upstream.Options{BaseURL: "https://[fe80::1]/"}, []string{"base_url"}},
		"everything": {upstream.Options{
			BaseURL: "http://x.example", BaseURLSetting: "graph_url",
			Transport: &connectorv1.Transport{CaFile: "/does/not/exist", ProxyUrl: "proxy:3128", AttemptTimeout: durationpb.New(time.Minute)},
		}, []string{"graph_url", "transport.ca_file", "transport.proxy_url", "transport.attempt_timeout"}},
		"proxy password": {upstream.Options{BaseURL: "https://x.example", Transport: &connectorv1.Transport{ProxyUrl: "http://u:" + canary + "@p"}}, []string{"transport.proxy_url"}},
		"fine":           {upstream.Options{BaseURL: "https://x.example/api"}, nil},
		"fine, loopback": {upstream.Options{BaseURL: "http://[::1]:8080"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := upstream.New(tc.options)
			var got []string
			for _, d := range upstream.Diagnostics(err) {
				got = append(got, d.GetFieldPath())
				if strings.Contains(d.String(), canary) || d.GetRemedy() == "" {
					t.Errorf("got %v", d)
				}
			}
			if strings.Join(got, " ") != strings.Join(tc.want, " ") {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTheDialRefusesMetadataServices(t *testing.T) {
	t.Parallel()
	c := newClient(t, upstream.Options{
		BaseURL:   "https://acme.example",
		Transport: &connectorv1.Transport{ProxyUrl: "http://169.254.169.254:80"}, // Any name may lead there.
	})
	began := time.Now()
	_, err := c.Do(within(t, 2*time.Second), upstream.Request{Path: "/x"})
	wantFault(t, err, unavailable)
	if !strings.Contains(err.Error(), upstream.ErrForbiddenAddress.Error()) || time.Since(began) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}

func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	proxied := newFar(t, answer(200, "application/json", `{}`))
	t.Setenv("HTTP_PROXY", proxied.URL)
	t.Setenv("HTTPS_PROXY", proxied.URL)
	_, err := newClient(t, upstream.Options{BaseURL: "https://does-not-exist.invalid"}).Do(within(t, 2*time.Second), upstream.Request{Path: "/x"})
	if err == nil || proxied.calls.Load() != 0 {
		t.Errorf("the proxy got %d requests, %v", proxied.calls.Load(), err)
	}
}

func TestTheConfiguredProxyIsUsed(t *testing.T) {
	t.Parallel()
	f := newFar(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	c := newClient(t, upstream.Options{BaseURL: "https://does-not-exist.invalid", Transport: &connectorv1.Transport{ProxyUrl: f.URL}})
	_, err := c.Do(within(t, 2*time.Second), upstream.Request{Path: "/x"})
	if err == nil || f.calls.Load() == 0 {
		t.Errorf("the proxy got nothing, %v", err)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	f := httptest.NewTLSServer(answer(200, "application/json", `{}`))
	t.Cleanup(f.Close)
	_, err := newClient(t, upstream.Options{BaseURL: f.URL}).Do(within(t, 2*time.Second), upstream.Request{Path: "/x"})
	wantFault(t, err, unavailable)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
	trusted := newClient(t, upstream.Options{BaseURL: f.URL, Transport: &connectorv1.Transport{CaFile: caFile(t, f)}})
	if _, err := trusted.Do(within(t, 2*time.Second), upstream.Request{Path: "/x"}); err != nil {
		t.Error(err)
	}
}

func TestRefusedAndResetConnections(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	_, err = newClient(t, upstream.Options{BaseURL: nobody}).Do(within(t, 2*time.Second), upstream.Request{Path: "/x"})
	wantFault(t, err, unavailable)

	f := newFar(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	})
	_, err = newClient(t, upstream.Options{BaseURL: f.URL}).Do(within(t, 2*time.Second), upstream.Request{Path: "/x"})
	wantFault(t, err, unavailable)
	if f.calls.Load() != 2 {
		t.Errorf("a body that broke off was asked for %d times", f.calls.Load())
	}
}
