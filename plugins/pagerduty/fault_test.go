package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
	"github.com/countersign/countersign/connectors/connectortest/standin/pagerduty"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	incidentv1 "github.com/countersign/countersign/proto/countersign/incident/v1"
	pagerdutyv1 "github.com/countersign/countersign/proto/countersign/plugins/pagerduty/v1"
)

const (
	unavailable = connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE
	timeout     = connectorv1.FaultKind_FAULT_KIND_TIMEOUT
	denied      = connectorv1.FaultKind_FAULT_KIND_DENIED
	malformed   = connectorv1.FaultKind_FAULT_KIND_MALFORMED
	busy        = connectorv1.FaultKind_FAULT_KIND_BUSY

	theirs = connectorv1.FaultSource_FAULT_SOURCE_UPSTREAM
	asked  = connectorv1.FaultSource_FAULT_SOURCE_QUESTION
)

// Everything that can go wrong upstream is a fault of the right kind and never "not on call", "not found"
// or "on call".
func TestTroubleUpstreamIsAFault(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault  *fault.Fault
		kind   connectorv1.FaultKind
		source connectorv1.FaultSource
	}{
		"429":                         {pagerduty.RateLimited("30"), busy, theirs},
		"500":                         {&fault.Fault{Status: 500}, unavailable, theirs},
		"503 with a page":             {&fault.Fault{Status: 503, Body: "<html>" + canary, ContentType: "text/html"}, unavailable, theirs},
		"401":                         {&fault.Fault{Status: 401, Body: `{"error":{"message":"` + canary + `"}}`}, denied, theirs},
		"402":                         {&fault.Fault{Status: 402, Body: `{"error":{"code":2012,"message":"no ability"}}`}, denied, theirs},
		"403":                         {&fault.Fault{Status: 403}, denied, theirs},
		"errors is a string":          {&fault.Fault{Status: 400, Body: `{"error":{"code":2001,"errors":"` + canary + `"}}`}, malformed, asked},
		"error is a list of strings":  {&fault.Fault{Status: 400, Body: `{"error":["` + canary + `"]}`}, malformed, asked},
		"an error without a body":     {&fault.Fault{Status: 400}, malformed, asked},
		"404 from a proxy":            {&fault.Fault{Status: 404, Body: "<html>", ContentType: "text/html"}, malformed, theirs},
		"login page with 200":         {&fault.Fault{Body: "<html>login " + canary, ContentType: "text/html"}, malformed, theirs},
		"an empty object":             {&fault.Fault{Body: `{}`}, malformed, theirs},
		"null lists":                  {&fault.Fault{Body: `{"users":null,"oncalls":null,"more":false}`}, malformed, theirs},
		"an error with 200":           {&fault.Fault{Body: `{"error":{"message":"` + canary + `","code":2001}}`}, malformed, theirs},
		"no word about further pages": {&fault.Fault{Body: `{"users":[],"oncalls":[]}`}, malformed, theirs},
		"a member named twice":        {&fault.Fault{Body: `{"users":[],"users":[],"more":false}`}, malformed, theirs},
		"half an answer":              {&fault.Fault{Body: `{"users":[{"id":"PDOE`}, malformed, theirs},
		"another type":                {&fault.Fault{Body: `{"users":[{"id":7,"email":"e.doe@acme.example"}],"more":false}`}, malformed, theirs},
		"no answer":                   {&fault.Fault{Hang: true}, timeout, theirs},
		"an endless answer":           {&fault.Fault{Body: string(make([]byte, 2<<20))}, malformed, theirs},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *pagerdutyv1.Config) {
				c.Transport = &connectorv1.Transport{AttemptTimeout: durationpb.New(300 * time.Millisecond)}
			})
			w.AddOnCall(shift())
			w.SetFault(c.fault)
			_, err := w.onCall(t, forPayments("e.doe@acme.example"))
			wantFault(t, err, c.kind, c.source)
			_, err = w.incident(t, &incidentv1.GetIncidentRequest{Email: new("e.doe@acme.example")})
			wantFault(t, err, c.kind, c.source)
		})
	}
}

// The user is remembered, so that only the listing of on-calls is in trouble.
func TestEntriesThatMakeNoSenseAreAFault(t *testing.T) {
	t.Parallel()
	const head = `{"more":false,"oncalls":[{"user":{"id":"PDOE001"},"escalation_policy":{"id":"PPOL001"},`
	cases := map[string]string{
		"somebody else's entry":  `{"more":false,"oncalls":[{"user":{"id":"PELLIE1"},"escalation_policy":{"id":"PPOL001"},"escalation_level":1,"schedule":null,"start":null,"end":null}]}`,
		"another policy's entry": `{"more":false,"oncalls":[{"user":{"id":"PDOE001"},"escalation_policy":{"id":"PPOL002"},"escalation_level":1,"schedule":null,"start":null,"end":null}]}`,
		"no level":               head + `"schedule":null,"start":null,"end":null}]}`,
		"level 0":                head + `"escalation_level":0,"schedule":null,"start":null,"end":null}]}`,
		"level is a text":        head + `"escalation_level":"1","schedule":null,"start":null,"end":null}]}`,
		"no schedule member":     head + `"escalation_level":1,"start":null,"end":null}]}`,
		"no end member":          head + `"escalation_level":1,"schedule":null,"start":null}]}`,
		"end before start":       head + `"escalation_level":1,"schedule":null,"start":"2026-11-23T13:00:00Z","end":"2026-11-23T11:00:00Z"}]}`,
		"no time":                head + `"escalation_level":1,"schedule":null,"start":"today","end":null}]}`,
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			warm, err := w.onCall(t, forPayments("e.doe@acme.example"))
			found(t, warm, err)
			w.SetFault(&fault.Fault{Body: body})
			q := forPayments("e.doe@acme.example")
			q.Service, q.EscalationPolicy = nil, new("PPOL001")
			_, err = w.onCall(t, q)
			wantFault(t, err, malformed, theirs)
		})
	}
}

// A key that was sent to one host never follows a redirect to another.
func TestTheKeyStaysWithItsHost(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(elsewhere.Close)
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/users", http.StatusFound))
	t.Cleanup(redirect.Close)
	w := newWorld(t, func(c *pagerdutyv1.Config) { c.BaseUrl = redirect.URL })
	_, err := w.onCall(t, forPayments("e.doe@acme.example"))
	wantFault(t, err, malformed, theirs)
	if visits.Load() != 0 {
		t.Error("the other host was asked")
	}
}

func TestACertificateNobodyVouchesForIsAFault(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	t.Cleanup(secure.Close)
	w := newWorld(t, func(c *pagerdutyv1.Config) { c.BaseUrl = secure.URL })
	_, err := w.onCall(t, forPayments("e.doe@acme.example"))
	wantFault(t, err, unavailable, theirs)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault *fault.Fault
		want  connectorv1.HealthStatus
	}{
		"well":        {nil, connectorv1.HealthStatus_HEALTH_STATUS_OK},
		"refused":     {&fault.Fault{Status: 401}, connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED},
		"in trouble":  {&fault.Fault{Status: 500}, connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE},
		"no answer":   {&fault.Fault{Body: "<html>", ContentType: "text/html"}, connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE},
		"rate limits": {pagerduty.RateLimited("30"), connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.SetFault(c.fault)
			health, err := w.client.CheckHealth(t.Context())
			if err != nil || health.GetStatus() != c.want {
				t.Errorf("got %v %v, want %v", health, err, c.want)
			}
		})
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		config *pagerdutyv1.Config
		want   string
	}{
		"EU region":              {&pagerdutyv1.Config{ApiKey: canary, BaseUrl: "https://api.eu.pagerduty.com"}, ""},
		"defaults":               {&pagerdutyv1.Config{ApiKey: canary}, ""},
		"no credentials":         {&pagerdutyv1.Config{}, "api_key"},
		"two kinds":              {&pagerdutyv1.Config{ApiKey: canary, BearerToken: canary}, "api_key"},
		"plain http":             {&pagerdutyv1.Config{ApiKey: canary, BaseUrl: "http://api.pagerduty.com"}, "base_url"},
		"token url is no url":    {&pagerdutyv1.Config{Oauth: &connectorv1.ClientCredentials{TokenUrl: "x", ClientId: "a", ClientSecret: canary}}, "oauth.token_url"},
		"service by name":        {&pagerdutyv1.Config{ApiKey: canary, Services: map[string]string{"A": "payments"}}, `services["A"]`},
		"remembers for too long": {&pagerdutyv1.Config{ApiKey: canary, RememberUsers: durationpb.New(61 * time.Minute)}, "remember_users"},
		"attempts are too long":  {&pagerdutyv1.Config{ApiKey: canary, Transport: &connectorv1.Transport{AttemptTimeout: durationpb.New(time.Minute)}}, "transport.attempt_timeout"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			for _, d := range connectortest.Serve(t, connector()).Validate(t, c.config) {
				got += d.GetFieldPath()
				noCanary(t, &diagnosticError{d})
			}
			if got != c.want {
				t.Errorf("complains about %q, want %q", got, c.want)
			}
		})
	}
}

type diagnosticError struct{ *connectorv1.Diagnostic }

func (e *diagnosticError) Error() string { return e.String() }
