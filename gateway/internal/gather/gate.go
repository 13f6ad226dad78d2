package gather

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/countersign/countersign/gateway/internal/pim"
)

type gateKey struct{ connector, capability string }

// gate is the circuit breaker of one capability of one connector. While it is open the upstream is
// tried by a background probe and never by an administrator's activation.
type gate struct {
	breaker *gobreaker.CircuitBreaker[pim.Finding]
}

// ask puts one ask and returns its finding when it is there or when its time is over, whichever is
// first. A breaker whose half-open trial never returned would refuse everything for ever, so nothing
// that passes through one may outlast its deadline.
func (g *Gatherer) ask(ctx context.Context, ask pim.Ask) pim.Finding {
	begun := time.Now()
	limits := g.settings.Limits(ask.Connector)
	ctx, cancel := withBudget(ctx, ask.Timeout, limits.Timeout)
	defer cancel()
	f := g.through(ctx, ask, limits)
	f.Ask = ask
	f.Took = time.Since(begun)
	f.Stale = f.Stale || outdated(f, begun)
	return f
}

// outdated reports whether what was found was observed longer before the ask than it allows. An ask
// without a maximum age wants what is so now; clocks and sources that are read every few seconds are
// allowed 5 s. What a connector says it will observe later is no better: nobody knows how old it is.
func outdated(f pim.Finding, asked time.Time) bool {
	const now = 5 * time.Second
	tooOld := f.ObservedAt.Before(asked.Add(-max(f.Ask.MaxAge, now)))
	tooNew := f.ObservedAt.After(asked.Add(f.Took + now))
	return f.Fault == pim.NoFault && (tooOld || tooNew)
}

func withBudget(ctx context.Context, bounds ...time.Duration) (context.Context, context.CancelFunc) {
	least := time.Duration(0)
	for _, bound := range bounds {
		if bound > 0 && (least == 0 || bound < least) {
			least = bound
		}
	}
	if least == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, least)
}

func (g *Gatherer) through(ctx context.Context, ask pim.Ask, limits Limits) pim.Finding {
	gate := g.gate(ask, limits) //nolint:contextcheck // the probe of an open breaker outlives the ask that opened it
	if gate.breaker.State() != gobreaker.StateClosed {
		return fault(ask, pim.BreakerOpen, "its latest answers were faults; it is probed in the background")
	}
	found, err := gate.breaker.Execute(func() (pim.Finding, error) {
		f := g.bounded(ctx, ask, limits)
		return f, asError(f)
	})
	var counted *faultError
	if err != nil && !errors.As(err, &counted) {
		return fault(ask, pim.BreakerOpen, err.Error())
	}
	return found
}

// bounded waits for a place in the connector's bulkhead and then for the answer, no longer than the
// context lasts.
func (g *Gatherer) bounded(ctx context.Context, ask pim.Ask, limits Limits) pim.Finding {
	room := g.room(ask.Connector, limits)
	if f, ok := room.enter(ctx, ask); !ok {
		return f
	}
	begun := time.Now()
	answer := make(chan pim.Finding, 1)
	go func() {
		defer room.leave()
		answer <- g.protected(ctx, ask)
	}()
	f := pim.Finding{Ask: ask, Fault: pim.Timeout, FaultSource: pim.FromUpstream, Detail: "no answer in time"}
	select {
	case f = <-answer:
	case <-ctx.Done():
		select {
		case f = <-answer: // it came at the same moment
		default:
		}
	}
	return justly(ctx, f, time.Since(begun) >= fairTime(ask, limits))
}

// fairTime is how long a connector must have had before it is to blame for having no answer.
func fairTime(ask pim.Ask, limits Limits) time.Duration {
	fair := 250 * time.Millisecond
	for _, bound := range []time.Duration{ask.Timeout, limits.Timeout} {
		if bound > 0 {
			fair = min(fair, bound*9/10) // the operator says that this is enough
		}
	}
	return fair
}

// protected keeps a bug in the way to a connector from costing more than that connector's facts.
func (g *Gatherer) protected(ctx context.Context, ask pim.Ask) (f pim.Finding) {
	defer func() {
		if p := recover(); p != nil {
			g.settings.Logger.ErrorContext(ctx, "ask panicked", slog.String("connector", ask.Connector), slog.Any("panic", p))
			f = pim.Finding{Ask: ask, Fault: pim.Malformed, FaultSource: pim.FromGateway, Detail: "the answer could not be read"}
		}
	}()
	return g.connectors.Ask(ctx, ask)
}

// justly blames nobody for an answer that an evaluation did not need any more, or that had next to no
// time because the asks before it had used it up.
func justly(ctx context.Context, f pim.Finding, fair bool) pim.Finding {
	switch {
	case f.Fault != pim.Timeout:
	case errors.Is(ctx.Err(), context.Canceled):
		f.FaultSource, f.Detail = pim.FromGateway, "no longer needed"
	case !fair:
		f.FaultSource, f.Detail = pim.FromGateway, "too little time was left to ask"
	}
	return f
}

// faultError carries a finding's fault through the breaker.
type faultError struct {
	fault  pim.Fault
	source pim.FaultSource
}

func (c *faultError) Error() string { return fmt.Sprintf("%s (%s)", c.fault, c.source) }

func asError(f pim.Finding) error {
	if f.Fault == pim.NoFault {
		return nil
	}
	return &faultError{f.Fault, f.FaultSource}
}

// blameless reports faults that say nothing about the upstream: the question's own, and those of
// asks that were never put or no longer needed.
func blameless(err error) bool {
	var c *faultError
	return errors.As(err, &c) && (c.source == pim.FromQuestion || c.source == pim.FromGateway || c.fault == pim.Ambiguous)
}

func (g *Gatherer) gate(ask pim.Ask, limits Limits) *gate {
	key := gateKey{ask.Connector, ask.Capability}
	g.mu.Lock()
	defer g.mu.Unlock()
	if existing, ok := g.gates[key]; ok {
		return existing
	}
	b := limits.Breaker.withDefaults()
	fresh := &gate{}
	fresh.breaker = gobreaker.NewCircuitBreaker[pim.Finding](gobreaker.Settings{
		Name:         ask.Connector + " " + ask.Capability,
		MaxRequests:  1,
		Interval:     b.Window,
		BucketPeriod: b.Window / 6,
		Timeout:      b.Probe,
		ReadyToTrip:  b.trips,
		IsExcluded:   blameless,
		OnStateChange: func(name string, from, to gobreaker.State) {
			g.settings.Logger.Warn("breaker changed", slog.String("breaker", name), slog.String("from", from.String()), slog.String("to", to.String()))
			if to == gobreaker.StateOpen && from == gobreaker.StateClosed {
				g.probes.Go(func() { g.probe(fresh, ask.Connector, b.Probe) })
			}
		},
	})
	g.gates[key] = fresh
	return fresh
}

// probe tests the upstream until the breaker is closed again.
func (g *Gatherer) probe(gate *gate, connector string, every time.Duration) {
	for gate.breaker.State() != gobreaker.StateClosed {
		// A fifth of jitter keeps the replicas of a gateway from probing in step.
		pause := every + time.Duration(rand.Int64N(int64(every)/5+1)) // #nosec G404 -- jitter is no secret
		select {
		case <-g.stopped.Done():
			return
		case <-time.After(pause):
		}
		_, _ = gate.breaker.Execute(func() (pim.Finding, error) { return pim.Finding{}, g.try(connector) })
	}
}

// try probes the upstream once. The probe ends at its deadline even if the connector does not.
func (g *Gatherer) try(connector string) error {
	const patience = 5 * time.Second // a probe may ask more than one question
	ctx, cancel := context.WithTimeout(g.stopped, patience)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- g.connectors.Probe(ctx, connector) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b Breaker) withDefaults() Breaker {
	const (
		consecutive = 3
		requests    = 10
		window      = time.Minute
		probe       = 5 * time.Second
	)
	if b.Consecutive == 0 {
		b.Consecutive = consecutive
	}
	if b.Requests == 0 {
		b.Requests = requests
	}
	if b.Window == 0 {
		b.Window = window
	}
	if b.Probe == 0 {
		b.Probe = probe
	}
	return b
}

// trips opens on faults in a row and on a high share of faults. At PIM's low rates the first is what
// counts: a share needs more requests than a minute usually brings.
func (b Breaker) trips(c gobreaker.Counts) bool {
	return c.ConsecutiveFailures >= b.Consecutive || c.Requests >= b.Requests && 2*c.TotalFailures >= c.Requests
}

// Open is how many of a connector's breakers are not closed.
func (g *Gatherer) Open(connector string) int {
	open := 0
	for _, state := range g.States()[connector] {
		if state != gobreaker.StateClosed.String() {
			open++
		}
	}
	return open
}

// States returns the state of every breaker by connector and capability: "closed", "half-open" or
// "open".
func (g *Gatherer) States() map[string]map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	states := map[string]map[string]string{}
	for key, gate := range g.gates {
		if states[key.connector] == nil {
			states[key.connector] = map[string]string{}
		}
		states[key.connector][key.capability] = gate.breaker.State().String()
	}
	return states
}
