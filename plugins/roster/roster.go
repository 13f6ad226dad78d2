package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	rosterv1 "github.com/countersign/countersign/proto/countersign/plugins/roster/v1"
)

// roster is the operator's files, kept up to date.
type roster struct {
	principals  *table[principal]
	employments *table[employment]
	shifts      *table[shift]
	maxAge      time.Duration
	poll        time.Duration
	now         func() time.Time
	log         *slog.Logger

	stop context.CancelFunc
	work sync.WaitGroup
}

// source is what the tables have in common.
type source interface {
	refresh(now time.Time) (changed bool, err error)
	state(now time.Time, maxAge time.Duration) (usable bool, trouble error)
}

// newRoster reads every file once; its error names everything that is wrong with all of them.
func newRoster(c *rosterv1.Config, log *slog.Logger) (*roster, error) {
	zone, err := zoneOf(c)
	if err != nil {
		return nil, err
	}
	f := format{limit: bytesOr(c.GetMaxBytes()), zone: zone}
	r := &roster{
		principals:  newTable(principalsTable, c.GetPrincipalsFile(), f, principals),
		employments: newTable(employmentsTable, c.GetEmploymentsFile(), f, employments),
		shifts:      newTable(shiftsTable, c.GetShiftsFile(), f, shifts),
		maxAge:      durationOr(c.GetMaxAge(), defaultMaxAge),
		poll:        durationOr(c.GetPollEvery(), defaultPoll),
		now:         time.Now,
		log:         log,
		stop:        func() {},
	}
	var all []error
	for _, s := range r.sources() {
		_, err := s.refresh(r.now())
		all = append(all, err)
	}
	return r, errors.Join(all...)
}

// zoneOf is nil if dates without a time are to be refused.
func zoneOf(c *rosterv1.Config) (*time.Location, error) {
	if c.GetTimeZone() == "" {
		return nil, nil
	}
	return time.LoadLocation(c.GetTimeZone())
}

func (r *roster) sources() []source { return []source{r.principals, r.employments, r.shifts} }

// watch keeps the files up to date until Close: when the system tells of a change, and every so often in
// case it does not, as with network file systems and mounted secrets.
func (r *roster) watch(opening context.Context) {
	ctx, stop := context.WithCancel(context.WithoutCancel(opening))
	r.stop = stop
	watcher, err := r.notify()
	if err != nil {
		r.log.Warn("file changes are not announced, the files are polled only", slog.Any("error", err))
	}
	r.work.Go(func() { r.follow(ctx, watcher) })
}

// notify watches the folders, since editors and config maps replace files instead of writing them.
func (r *roster) notify() (*fsnotify.Watcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	for _, path := range []string{r.principals.path, r.employments.path, r.shifts.path} {
		if path == "" {
			continue
		}
		if err := watcher.Add(filepath.Dir(path)); err != nil {
			return nil, errors.Join(err, watcher.Close())
		}
	}
	return watcher, nil
}

func (r *roster) follow(ctx context.Context, watcher *fsnotify.Watcher) {
	var events <-chan fsnotify.Event
	var failures <-chan error
	if watcher != nil {
		defer watcher.Close() //nolint:errcheck // nothing is left to do about it
		events, failures = watcher.Events, watcher.Errors
	}
	tick := time.NewTicker(r.poll)
	defer tick.Stop()
	soon := time.NewTimer(settling)
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			soon.Reset(settling)
			continue
		case err := <-failures:
			r.log.Warn("file changes may be missed until the next poll", slog.Any("error", err))
			continue
		case <-soon.C:
		case <-tick.C:
		}
		if r.refresh() {
			soon.Reset(settling)
		}
	}
}

// refresh reads all files and says whether one of them is still being written.
func (r *roster) refresh() (again bool) {
	for _, s := range r.sources() {
		changed, err := s.refresh(r.now())
		switch {
		case errors.Is(err, errSettling):
			again = true
		case changed && err != nil:
			r.log.Error("a file is not in order, its old content stays in use", slog.String("problems", err.Error()))
		case changed:
			r.log.Info("a file was read")
		}
	}
	return again
}

// Close ends the watching and waits for it.
func (r *roster) Close() error { //nolint:unparam // This is how an io.Closer looks.
	r.stop()
	r.work.Wait()
	return nil
}

// health is degraded while a file is not in order, and worse once its old content is too old to be used.
func health(_ context.Context, r *roster) (*connectorv1.CheckHealthResponse, error) {
	answer := &connectorv1.CheckHealthResponse{
		Status: connectorv1.HealthStatus_HEALTH_STATUS_OK, Message: "all files are in order",
	}
	var all []error
	for _, s := range r.sources() {
		usable, trouble := s.state(r.now(), r.maxAge)
		all = append(all, trouble)
		switch {
		case !usable:
			answer.Status = connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE
		case trouble != nil && answer.GetStatus() == connectorv1.HealthStatus_HEALTH_STATUS_OK:
			answer.Status = connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED
		}
	}
	if err := errors.Join(all...); err != nil {
		answer.Message = err.Error()
	}
	return answer, nil
}
