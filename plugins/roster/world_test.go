package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	rosterv1 "github.com/countersign/countersign/proto/countersign/plugins/roster/v1"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

// TestMain fails if an instance that was closed leaves anything running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	unavailable = connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE
	malformed   = connectorv1.FaultKind_FAULT_KIND_MALFORMED
	notFound    = connectorv1.FaultKind_FAULT_KIND_UNSPECIFIED
)

// noon is when the tests take place: 2026-11-23, 12:00 in Berlin.
func noon() time.Time { return time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC) }

// world is a folder with an operator's files and a connector that reads them when it is told to.
type world struct {
	t      *testing.T
	dir    string
	roster *roster
	client *connectortest.Client
	offset atomic.Int64
}

func (w *world) now() time.Time { return noon().Add(time.Duration(w.offset.Load())) }

// at moves the connector's clock and lets it read its files.
func (w *world) at(offset time.Duration) {
	w.offset.Store(int64(offset))
	w.roster.refresh()
}

func (w *world) write(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	// Long ago, so that it counts as settled.
	if err := os.Chtimes(path, noon(), noon().Add(-time.Hour)); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// newWorld writes the files and starts a connector that reads all tables from all.yaml.
func newWorld(t *testing.T, content string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	path := w.write("all.yaml", content)
	return w.start(&rosterv1.Config{PrincipalsFile: path, EmploymentsFile: path, ShiftsFile: path, TimeZone: "Europe/Berlin"})
}

func (w *world) start(config *rosterv1.Config) *world {
	w.t.Helper()
	c := connector()
	c.Open = func(_ context.Context, config *rosterv1.Config) (*roster, error) {
		r, err := newRoster(config, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		r.now = w.now
		r.refresh()
		w.roster = r
		return r, nil
	}
	w.client = connectortest.Start(w.t, c, config)
	return w
}

func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// with is the example with one piece replaced; the piece must be there.
func with(t *testing.T, old, replacement string) string {
	t.Helper()
	text := example(t)
	if !strings.Contains(text, old) {
		t.Fatalf("the example has no %q", old)
	}
	return strings.Replace(text, old, replacement, 1)
}

func (w *world) onCall(email, service string) (*oncallv1.GetOnCallResponse, error) {
	r := &oncallv1.GetOnCallResponse{}
	q := &oncallv1.GetOnCallRequest{Email: new(email), Service: new(service)}
	return r, w.client.Invoke(w.t.Context(), oncallv1.OnCallService_GetOnCall_FullMethodName, q, r)
}

func (w *world) employment(number, email string) (*employmentv1.GetEmploymentResponse, error) {
	r := &employmentv1.GetEmploymentResponse{}
	q := &employmentv1.GetEmploymentRequest{EmployeeNumber: new(number), Email: new(email)}
	return r, w.client.Invoke(w.t.Context(), employmentv1.EmploymentService_GetEmployment_FullMethodName, q, r)
}

func (w *world) principal(id string) (*principalv1.GetPrincipalResponse, error) {
	r := &principalv1.GetPrincipalResponse{}
	return r, w.client.Invoke(w.t.Context(), principalv1.PrincipalService_GetPrincipal_FullMethodName, &principalv1.GetPrincipalRequest{Id: new(id)}, r)
}

func wantState(t *testing.T, m proto.Message, want string, fields ...string) {
	t.Helper()
	for _, field := range fields {
		if got := connectortest.State(m, field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

func wantFault(t *testing.T, err error, kind connectorv1.FaultKind) {
	t.Helper()
	got, _, isFault := finding.Of(err)
	if kind == notFound && status.Code(err) != codes.NotFound || kind != notFound && (!isFault || got != kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}
