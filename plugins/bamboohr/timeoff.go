package main

import (
	"context"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// timeOff is what is known about approved time off now: until when it lasts, none, or unknown.
type timeOff = fact[time.Time]

type timeOffRequest struct {
	EmployeeID field  `json:"employeeId"`
	Start      string `json:"start"`
	End        string `json:"end"`
	Status     struct {
		Status string `json:"status"`
	} `json:"status"`
}

// timeOff reads approved time off that covers today. A key that may not view somebody's time off gets an
// empty list, so a second request, which is refused without that right, says whether the list counts.
// Holidays are no requests. What cannot be read is unknown; an upstream in trouble is an error.
func (c *company) timeOff(ctx context.Context, id string, now time.Time) (timeOff, error) {
	if c.settings.GetTimeOffNotUsed() {
		return timeOff{}, nil
	}
	var (
		requests []timeOffRequest
		policies []struct{}
	)
	today := now.In(c.zone).Format(time.DateOnly)
	both, ask := errgroup.WithContext(ctx)
	both.Go(func() error {
		_, err := c.client.JSON(ask, upstream.Request{
			Path:  "/api/v1/time_off/requests",
			Query: url.Values{"employeeId": {id}, "start": {today}, "end": {today}, "status": {"approved"}},
		}, &requests)
		return err
	})
	both.Go(func() error {
		_, err := c.client.JSON(ask, upstream.Request{
			Path: upstream.Path("api", "v1_1", "employees", id, "time_off", "policies"), Template: "/api/v1_1/employees/{id}/time_off/policies",
		}, &policies)
		return err
	})
	err := both.Wait()
	if isTrouble(err) {
		return timeOff{}, err
	}
	readable := err == nil && requests != nil && policies != nil
	if !readable {
		return timeOff{}, nil
	}
	return c.absence(requests, id, now), nil
}

// isTrouble tells an upstream that does not work, or has too much to do, from one that refuses.
func isTrouble(err error) bool {
	kind, _, _ := finding.Of(err)
	return kind == connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE || kind == connectorv1.FaultKind_FAULT_KIND_TIMEOUT ||
		kind == connectorv1.FaultKind_FAULT_KIND_BUSY
}

// absence is the latest end among the requests that cover now. A request that was not asked for or has no
// dates makes the whole answer unknown.
func (c *company) absence(requests []timeOffRequest, id string, now time.Time) timeOff {
	until := noneOf[time.Time]()
	for _, r := range requests {
		start, startErr := time.ParseInLocation(time.DateOnly, r.Start, c.zone)
		last, lastErr := time.ParseInLocation(time.DateOnly, r.End, c.zone)
		if startErr != nil || lastErr != nil || r.EmployeeID.value != id || !strings.EqualFold(r.Status.Status, "approved") {
			return timeOff{}
		}
		end := endOf(last)
		if !now.Before(start) && now.Before(end) && (until.state == none || end.After(until.value)) {
			until = valueOf(end)
		}
	}
	return until
}

func (c *company) probeTimeOff(ctx context.Context) error {
	today := c.now().In(c.zone).Format(time.DateOnly)
	var requests []timeOffRequest
	_, err := c.client.JSON(ctx, upstream.Request{
		Path:  "/api/v1/time_off/requests",
		Query: url.Values{"start": {today}, "end": {today}, "status": {"approved"}},
	}, &requests)
	return err
}
