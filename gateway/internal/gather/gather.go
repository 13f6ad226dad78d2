// Package gather runs the asks of one evaluation: in parallel, each as soon as its arguments are known,
// under one deadline, behind a bulkhead for each connector and a circuit breaker for each connector and
// capability. Whatever goes wrong becomes a finding with a fault.
//
// It decides nothing and never returns an error.
package gather

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Plan says what to ask next. Package policy implements it; a plan belongs to one evaluation and is
// used by one goroutine.
type Plan interface {
	// Next returns every ask whose arguments are known and that has no finding yet, and the findings
	// of asks that need no asking.
	Next(found map[pim.AskKey]pim.Finding) (asks []pim.Ask, foregone []pim.Finding)
	// Settled reports that no missing finding could change the outcome.
	Settled(found map[pim.AskKey]pim.Finding) bool
	// Decide returns the decision on what was found so far.
	Decide(found map[pim.AskKey]pim.Finding) pim.Decision
}

// Connectors answers asks. Package fleet implements it. A call must end soon after its context does;
// one that does not is left behind, and its place in the bulkhead stays taken until it ends.
type Connectors interface {
	Ask(ctx context.Context, ask pim.Ask) pim.Finding
	// Probe returns nil if the connector's upstream can be reached.
	Probe(ctx context.Context, connector string) error
}

// Limits bound what is asked of one connector.
type Limits struct {
	// InFlight is how many asks may be under way at once; 0 means 32.
	InFlight int
	// Wait is how long an ask waits for a place before it is given up as busy; 0 means 250 ms.
	Wait time.Duration
	// Timeout bounds each ask; 0 means whatever the evaluation's budget leaves.
	Timeout time.Duration
	// Breaker says when to stop asking.
	Breaker Breaker
}

// Breaker says when a connector's capability is no longer asked and when it is tried again. The zero
// value means the defaults of each field.
type Breaker struct {
	// Consecutive faults in a row open the breaker; 0 means 3.
	Consecutive uint32
	// Half of at least Requests within Window failing opens it too; 0 means 10.
	Requests uint32
	// Window is the span that is looked at; 0 means 60 s.
	Window time.Duration
	// Probe is how often the upstream is probed while the breaker is open; 0 means 5 s.
	Probe time.Duration
}

// Settings configure a Gatherer. The zero value is usable.
type Settings struct {
	// Limits returns the limits of a connector; nil means the defaults for all.
	Limits func(connector string) Limits
	// Linger is how long a denial that is already certain waits for further findings, so that its
	// reasons can name everything that is wrong.
	Linger time.Duration
	Logger *slog.Logger
}

// Gatherer runs asks. It is safe for concurrent use; Close ends its probes.
type Gatherer struct {
	connectors Connectors
	settings   Settings

	mu    sync.Mutex
	gates map[gateKey]*gate
	rooms map[string]*bulkhead

	probes  sync.WaitGroup
	stop    context.CancelFunc
	stopped context.Context
}

// New returns a gatherer that asks the connectors.
func New(connectors Connectors, s Settings) *Gatherer {
	if s.Limits == nil {
		s.Limits = func(string) Limits { return Limits{} }
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	stopped, stop := context.WithCancel(context.Background())
	return &Gatherer{
		connectors: connectors, settings: s, gates: map[gateKey]*gate{}, rooms: map[string]*bulkhead{},
		stop: stop, stopped: stopped,
	}
}

// Close ends the background probes and waits for them.
func (g *Gatherer) Close() error {
	g.stop()
	g.probes.Wait()
	return nil
}

// Gather puts the plan's asks until the plan is settled, nothing is left to ask or the context ends.
// It returns what was found by then; asks that were under way at the deadline have a finding with the
// fault timeout, so that the asks that depend on them can be told apart from asks never put.
func (g *Gatherer) Gather(ctx context.Context, plan Plan) map[pim.AskKey]pim.Finding {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &round{gatherer: g, plan: plan, found: map[pim.AskKey]pim.Finding{}, waiting: map[pim.AskKey]pim.Ask{}}
	r.results = make(chan pim.Finding)
	r.run(ctx)
	return r.found
}

// round is the gathering for one evaluation.
type round struct {
	gatherer *Gatherer
	plan     Plan
	found    map[pim.AskKey]pim.Finding
	waiting  map[pim.AskKey]pim.Ask
	results  chan pim.Finding
	linger   <-chan time.Time
}

func (r *round) run(ctx context.Context) {
	for {
		r.advance(ctx)
		if len(r.waiting) == 0 || r.done() {
			return
		}
		select {
		case f := <-r.results:
			r.take(f)
		case <-r.linger:
			return
		case <-ctx.Done():
			r.giveUp(ctx)
			return
		}
	}
}

// advance starts every ask that can be put and takes over the findings that need no asking, which may
// in turn settle the arguments of others.
func (r *round) advance(ctx context.Context) {
	for {
		asks, foregone := r.plan.Next(r.found)
		for _, ask := range asks {
			r.start(ctx, ask)
		}
		for _, f := range foregone {
			r.found[f.Ask.Key()] = f
		}
		if len(foregone) == 0 {
			return
		}
	}
}

func (r *round) start(ctx context.Context, ask pim.Ask) {
	key := ask.Key()
	if _, under := r.waiting[key]; under {
		return
	}
	r.waiting[key] = ask
	go func() {
		f := r.gatherer.ask(ctx, ask)
		select {
		case r.results <- f:
		case <-ctx.Done():
		}
	}()
}

func (r *round) take(f pim.Finding) {
	key := f.Ask.Key()
	delete(r.waiting, key)
	r.found[key] = f
}

// done reports that nothing more is worth waiting for. A denial lingers a little.
func (r *round) done() bool {
	if r.linger != nil || !r.plan.Settled(r.found) {
		return false
	}
	linger := r.gatherer.settings.Linger
	if linger <= 0 || r.plan.Decide(r.found).Returned != pim.Denied {
		return true
	}
	r.linger = time.After(linger)
	return false
}

// giveUp turns what is still under way at the deadline into faults and lets the plan draw the
// consequences for asks that depended on it.
func (r *round) giveUp(ctx context.Context) {
	for {
		for key, ask := range r.waiting {
			r.found[key] = fault(ask, pim.Timeout, "no answer within the evaluation's budget")
			delete(r.waiting, key)
		}
		asks, foregone := r.plan.Next(r.found)
		for _, ask := range asks {
			r.found[ask.Key()] = fault(ask, pim.Timeout, "no time was left to ask: "+context.Cause(ctx).Error())
		}
		for _, f := range foregone {
			r.found[f.Ask.Key()] = f
		}
		if len(asks)+len(foregone) == 0 {
			return
		}
	}
}

func fault(ask pim.Ask, f pim.Fault, detail string) pim.Finding {
	return pim.Finding{Ask: ask, Fault: f, FaultSource: pim.FromGateway, Detail: detail}
}
