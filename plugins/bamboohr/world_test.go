package main

import (
	"context"
	"maps"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/bamboohr"
	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

// canary stands for a secret: it must never show up in an error.
const canary = "canary-9b2e4d10aa"

const (
	unavailable = connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE
	timeout     = connectorv1.FaultKind_FAULT_KIND_TIMEOUT
	denied      = connectorv1.FaultKind_FAULT_KIND_DENIED
	malformed   = connectorv1.FaultKind_FAULT_KIND_MALFORMED
	ambiguous   = connectorv1.FaultKind_FAULT_KIND_AMBIGUOUS
	busy        = connectorv1.FaultKind_FAULT_KIND_BUSY
	notFound    = connectorv1.FaultKind_FAULT_KIND_UNSPECIFIED

	theirs = connectorv1.FaultSource_FAULT_SOURCE_UPSTREAM
	asked  = connectorv1.FaultSource_FAULT_SOURCE_QUESTION
)

// noon is when the tests take place: Monday, 2026-11-23, 12:00 in Berlin.
func noon() time.Time { return time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC) }

// world is a company's BambooHR, a connector to it and the connector's clock.
type world struct {
	*bamboohr.Server
	client *connectortest.Client
	offset atomic.Int64
}

func (w *world) now() time.Time { return noon().Add(time.Duration(w.offset.Load())) }

func (w *world) wait(d time.Duration) { w.offset.Add(int64(d)) }

func newWorld(t *testing.T, change ...func(*bamboohrv1.Config)) *world {
	t.Helper()
	w := &world{Server: &bamboohr.Server{APIKey: canary, Owner: "1"}}
	upstream := httptest.NewServer(w.Server)
	t.Cleanup(upstream.Close)
	w.AddEmployee(owner(), erin())
	config := &bamboohrv1.Config{Company: "acme", BaseUrl: upstream.URL, ApiKey: canary, TimeZone: "Europe/Berlin", KeySeesEveryone: true}
	for _, c := range change {
		c(config)
	}
	c := connector()
	c.Open = func(_ context.Context, config *bamboohrv1.Config) (*company, error) {
		opened, err := newCompany(config)
		if err == nil {
			opened.now = w.now
		}
		return opened, err
	}
	w.client = connectortest.Start(t, c, config)
	return w
}

// owner is whom the key belongs to: active, and nobody's answer but her own.
func owner() bamboohr.Employee {
	return bamboohr.Employee{ID: "1", Fields: map[string]any{
		"status": "Active", "workEmail": "hr@acme.example", "employeeNumber": "0", "hireDate": "2010-01-01", "terminationDate": "0000-00-00",
	}}
}

// erin is an ordinary employee.
func erin() bamboohr.Employee {
	return bamboohr.Employee{ID: "42", Fields: map[string]any{
		"status": "Active", "workEmail": "E.Doe@acme.example", "employeeNumber": "00123", "hireDate": "2020-03-01", "terminationDate": "0000-00-00",
		"employmentStatus": "Full-Time", "department": "Payments", "location": "Berlin", "jobTitleName": "Engineer", "reportsToId": "1",
	}}
}

// with returns Erin with other fields; a field named hide is one that the key may not view.
func with(fields map[string]any, hidden ...string) bamboohr.Employee {
	e := erin()
	maps.Copy(e.Fields, fields)
	e.Hidden = hidden
	return e
}

func (w *world) ask(t *testing.T, number, email string) (*employmentv1.GetEmploymentResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return w.askWithin(t, ctx, number, email)
}

func (w *world) askWithin(t *testing.T, ctx context.Context, number, email string) (*employmentv1.GetEmploymentResponse, error) { //nolint:revive // t goes first in tests
	t.Helper()
	q := &employmentv1.GetEmploymentRequest{}
	if number != "" {
		q.EmployeeNumber = new(number)
	}
	if email != "" {
		q.Email = new(email)
	}
	r := &employmentv1.GetEmploymentResponse{}
	err := w.client.Invoke(ctx, employmentv1.EmploymentService_GetEmployment_FullMethodName, q, r)
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("the error shows a secret: %v", err)
	}
	return r, err
}

// mustAsk asks for Erin by number and fails the test unless there is an answer.
func (w *world) mustAsk(t *testing.T) *employmentv1.GetEmploymentResponse {
	t.Helper()
	r, err := w.ask(t, "00123", "")
	if err != nil {
		t.Fatalf("got error %v, want an answer", err)
	}
	return r
}

func wantState(t *testing.T, m proto.Message, want string, fields ...string) {
	t.Helper()
	for _, field := range fields {
		if got := connectortest.State(m, field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

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

// stateOf is the word for the state: active, unknown and so on.
func stateOf(r *employmentv1.GetEmploymentResponse) string {
	if connectortest.State(r, "state") != connectortest.Value {
		return connectortest.State(r, "state")
	}
	return strings.ToLower(strings.TrimPrefix(r.GetState().String(), "EMPLOYMENT_STATE_"))
}

// onLeave is true, false, none or unknown.
func onLeave(r *employmentv1.GetEmploymentResponse) string {
	switch state := connectortest.State(r, "on_leave"); {
	case state != connectortest.Value:
		return state
	case r.GetOnLeave():
		return "true"
	default:
		return "false"
	}
}
