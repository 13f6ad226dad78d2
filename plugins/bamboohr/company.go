package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

// maxAnswer bounds one answer: a page of 1000 rows takes about 150 KiB.
const maxAnswer = 4 << 20

// company is one company's BambooHR as this connector sees it.
type company struct {
	client   *upstream.Client
	settings *bamboohrv1.Config
	// zone is the company's own: BambooHR's dates are days there.
	zone      *time.Location
	directory *directory
	now       func() time.Time
}

func newCompany(c *bamboohrv1.Config) (*company, error) {
	zone, err := time.LoadLocation(c.GetTimeZone())
	if err != nil {
		return nil, err
	}
	client, err := upstream.New(upstream.Options{
		BaseURL:   or(c.GetBaseUrl(), "https://"+c.GetCompany()+".bamboohr.com"),
		Transport: c.GetTransport(),
		// The key is the user name; the password is there because the scheme wants one.
		Authorize: upstream.Basic(c.GetApiKey(), "x"),
		Header:    http.Header{"Accept": {"application/json"}},
		MaxBytes:  maxAnswer,
		RequestID: "X-Request-Id",
	})
	if err != nil {
		return nil, err
	}
	return &company{client: client, settings: c, zone: zone, directory: newDirectory(client, c), now: time.Now}, nil
}

// Close ends a reading of the directory that is under way and drops idle connections.
func (c *company) Close() error { //nolint:unparam // This is how an io.Closer looks.
	c.directory.close()
	c.client.Close()
	return nil
}

// errBehind says that a record is not the one that the directory led to: it has changed since.
var errBehind = errors.New("the directory is behind")

// GetEmployment reads how one person is employed. The record must bear every key that was asked for.
func (c *company) GetEmployment(ctx context.Context, q *employmentv1.GetEmploymentRequest) (*employmentv1.GetEmploymentResponse, error) {
	who, err := keyOf(q)
	if err != nil {
		return nil, err
	}
	e, err := c.look(ctx, who)
	if errors.Is(err, errBehind) {
		c.directory.forget()
		e, err = c.look(ctx, who)
	}
	switch {
	case errors.Is(err, errBehind):
		return nil, finding.Malformed("the record has another employee number or address than the directory says")
	case err != nil:
		return nil, err
	}
	return e.answer(ctx, c.managerOf(e.record)), nil
}

// look finds the record and reads it and the time off at the same time.
func (c *company) look(ctx context.Context, who key) (*employment, error) {
	id, err := c.directory.find(ctx, who, c.now())
	if err != nil {
		return nil, err
	}
	e := &employment{settings: c.settings, zone: c.zone, now: c.now()}
	both, ask := errgroup.WithContext(ctx)
	both.Go(func() (err error) { e.record, err = c.record(ask, id); return err })
	both.Go(func() (err error) { e.timeOff, err = c.timeOff(ask, id, e.now); return err })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	return e, confirm(e.record, who)
}

// confirm compares the record with the question: the directory may be some minutes behind.
func confirm(r record, who key) error {
	number, email := r.text("employeeNumber"), r.text("workEmail")
	switch {
	case who.number != "" && number.state == unknown || who.email != "" && email.state == unknown:
		return finding.BadQuestion("the key may not view the field of the record by which it was found")
	case who.number != "" && number.value != who.number || who.email != "" && upstream.Email(email.value) != who.email:
		return errBehind
	default:
		return nil
	}
}

// managerOf is the work address of the manager, from the directory.
func (c *company) managerOf(r record) fact[string] {
	manager := r.text("reportsToId").or(r.text("supervisorEId"))
	if manager.state != known {
		return manager
	}
	return c.directory.emailOf(manager.value)
}

// health reads one row of the directory and, if leave counts, today's time off.
func health(ctx context.Context, c *company) (*connectorv1.CheckHealthResponse, error) {
	hidden, err := c.directory.probe(ctx)
	switch {
	case isDenied(err):
		return healthy(connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED, status.Convert(err).Message()), nil
	case err != nil:
		return healthy(connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE, status.Convert(err).Message()), nil
	case hidden:
		return healthy(connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED, "the key may not view addresses or employee numbers of the dataset employee"), nil
	case c.settings.GetTimeOffNotUsed():
		return healthy(connectorv1.HealthStatus_HEALTH_STATUS_OK, "read one row of the dataset employee"), nil
	}
	if err := c.probeTimeOff(ctx); err != nil {
		return healthy(connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED, "leave cannot be read: "+status.Convert(err).Message()), nil
	}
	return healthy(connectorv1.HealthStatus_HEALTH_STATUS_OK, "read one row of the dataset employee and today's time off"), nil
}

func healthy(s connectorv1.HealthStatus, message string) *connectorv1.CheckHealthResponse {
	return &connectorv1.CheckHealthResponse{Status: s, Message: message}
}

func isDenied(err error) bool {
	kind, _, _ := finding.Of(err)
	return kind == connectorv1.FaultKind_FAULT_KIND_DENIED
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
