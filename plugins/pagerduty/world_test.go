package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/pagerduty"
	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/serve"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	incidentv1 "github.com/countersign/countersign/proto/countersign/incident/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	pagerdutyv1 "github.com/countersign/countersign/proto/countersign/plugins/pagerduty/v1"
)

// canary stands for a secret: it must never show up in an error.
const canary = "canary-7d1f0b62c3"

// noon is when the tests take place.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func at(offset time.Duration) *time.Time {
	t := noon().Add(offset)
	return &t
}

// world is a PagerDuty account and a connector to it, each with a clock that stands still.
type world struct {
	*pagerduty.Server
	url    string
	client *connectortest.Client
	clock  clock
}

// clock shows a time after noon.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time           { return noon().Add(time.Duration(c.offset.Load())) }
func (c *clock) set(offset time.Duration) { c.offset.Store(int64(offset)) }

func newWorld(t *testing.T, change ...func(*pagerdutyv1.Config)) *world {
	t.Helper()
	w := &world{Server: &pagerduty.Server{APIKey: canary, BearerToken: canary + "-bearer", Now: noon}}
	upstream := httptest.NewServer(w.Server)
	t.Cleanup(upstream.Close)
	w.url = upstream.URL
	w.AddUser(
		pagerduty.User{ID: "PDOE001", Email: "E.Doe@acme.example", Name: "Erin Doe"},
		pagerduty.User{ID: "PELLIE1", Email: "ellie.doe@acme.example", Name: "Ellie Doe"},
		pagerduty.User{ID: "PNAME01", Email: "someone@acme.example", Name: "e.doe@acme.example"},
		pagerduty.User{ID: "PPLUS01", Email: "a+b@acme.example", Name: "Plus"},
	)
	w.AddService(pagerduty.Service{ID: "PSVC001", Name: "Payments", EscalationPolicy: policy()})
	config := &pagerdutyv1.Config{BaseUrl: upstream.URL, ApiKey: canary, Services: map[string]string{"PAYMENTS": "PSVC001", "GONE": "PGONE01"}}
	for _, c := range change {
		c(config)
	}
	w.client = connectortest.Start(t, w.connector(), config)
	return w
}

// connector is the real one with the world's clock.
func (w *world) connector() serve.Connector[*pagerdutyv1.Config, *account] {
	c := connector()
	open := c.Open
	c.Open = func(ctx context.Context, config *pagerdutyv1.Config) (*account, error) {
		a, err := open(ctx, config)
		if err == nil {
			a.now = w.clock.now
		}
		return a, err
	}
	return c
}

func policy() pagerduty.Reference { return pagerduty.Reference{ID: "PPOL001", Name: "Payments EP"} }

func rota() *pagerduty.Reference { return &pagerduty.Reference{ID: "PSCHED1", Name: "Payments rota"} }

// shift is Erin's ordinary duty: level 1, by schedule, from 08:00 to 20:00.
func shift() pagerduty.OnCall {
	return pagerduty.OnCall{
		UserID: "PDOE001", EscalationPolicy: policy(), Schedule: rota(), Level: 1, Start: at(-4 * time.Hour), End: at(8 * time.Hour),
	}
}

func (w *world) onCall(t *testing.T, q *oncallv1.GetOnCallRequest) (*oncallv1.GetOnCallResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r := &oncallv1.GetOnCallResponse{}
	err := w.client.Invoke(ctx, oncallv1.OnCallService_GetOnCall_FullMethodName, q, r)
	noCanary(t, err)
	return r, err
}

func (w *world) incident(t *testing.T, q *incidentv1.GetIncidentRequest) (*incidentv1.GetIncidentResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r := &incidentv1.GetIncidentResponse{}
	err := w.client.Invoke(ctx, incidentv1.IncidentService_GetIncident_FullMethodName, q, r)
	noCanary(t, err)
	return r, err
}

// forPayments asks whether a person is on call for the service that the operator calls PAYMENTS.
func forPayments(email string) *oncallv1.GetOnCallRequest {
	return &oncallv1.GetOnCallRequest{Email: new(email), Service: new("PAYMENTS")}
}

func noCanary(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("the error shows a secret: %v", err)
	}
}

// found fails the test unless there is an answer.
func found[R any](t *testing.T, answer R, err error) R {
	t.Helper()
	if err != nil {
		t.Fatalf("got error %v, want an answer", err)
	}
	return answer
}

func wantState(t *testing.T, m proto.Message, want string, fields ...string) {
	t.Helper()
	for _, field := range fields {
		if got := connectortest.State(m, field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

const notFound = connectorv1.FaultKind_FAULT_KIND_UNSPECIFIED

// wantFault checks why there is no answer; notFound stands for "asked, and there is none".
func wantFault(t *testing.T, err error, kind connectorv1.FaultKind, source connectorv1.FaultSource) {
	t.Helper()
	gotKind, gotSource, isFault := finding.Of(err)
	switch {
	case kind == notFound:
		if status.Code(err) != codes.NotFound {
			t.Errorf("got %v, want not found", err)
		}
	case !isFault || gotKind != kind || gotSource != source:
		t.Errorf("got %v (%v, %v), want %v, %v", err, gotKind, gotSource, kind, source)
	}
}

// asked counts the requests whose method and path begin with prefix.
func (w *world) asked(prefix string) int {
	n := 0
	for _, r := range w.Requests() {
		if strings.HasPrefix(r, http.MethodGet+" "+prefix) {
			n++
		}
	}
	return n
}
