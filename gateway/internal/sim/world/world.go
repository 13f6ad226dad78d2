// Package world is the demonstration: stand-ins for every upstream on loopback ports with one coherent
// set of people, tickets, shifts and employments, a tenant that issues PIM's tokens, and the scenarios
// in which a stand-in PIM activates roles and knows which answer to expect.
//
// It holds no policy and starts no gateway; configs/demo has the policies, and WriteConfig the
// configuration that fits the ports of one world.
package world

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

// Upstream is one of the systems that stand-ins play.
type Upstream string

// The upstreams.
const (
	// SignIn is the token endpoint that the directory connector uses.
	SignIn Upstream = "sign_in"
	// Graph is Microsoft Graph.
	Graph Upstream = "graph"
	// ITSM is ServiceNow.
	ITSM Upstream = "itsm"
	// Rota is PagerDuty.
	Rota Upstream = "rota"
	// HR is BambooHR.
	HR Upstream = "hr"
)

// Upstreams are all upstreams of a world.
func Upstreams() []Upstream { return []Upstream{SignIn, Graph, ITSM, Rota, HR} }

// Options describe a world.
type Options struct {
	// Timeout and Retries are what is registered with PIM: 5 s and 2 if the timeout is zero.
	Timeout time.Duration
	Retries int
}

// World is a running world. It is safe for concurrent use, scenarios apart, which break and mend what
// others would see.
type World struct {
	// Tenant is the organisation's tenant, Stranger somebody else's: it shares the signing keys, as
	// Entra ID's tenants do.
	Tenant, Stranger *sim.Tenant

	options Options
	began   time.Time
	secrets secrets
	gates   map[Upstream]*gate
	servers map[Upstream]*sim.Server
	desk    *sim.Server
	closing sync.Once
}

// secrets are what the connectors authenticate with, new in every world.
type secrets struct{ graphClientID, graph, itsm, rota, hr string }

// Start starts every stand-in.
func Start(ctx context.Context, o Options) (*World, error) {
	if o.Timeout == 0 {
		o.Timeout, o.Retries = 5*time.Second, 2
	}
	w := &World{
		options: o, began: time.Now().Truncate(time.Second),
		secrets: secrets{uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()},
		gates:   map[Upstream]*gate{}, servers: map[Upstream]*sim.Server{},
	}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *World) start(ctx context.Context) error {
	tenant, err := sim.StartTenant(ctx, sim.TenantOptions{})
	if err != nil {
		return fmt.Errorf("tenant: %w", err)
	}
	w.Tenant = tenant
	w.Stranger, err = sim.NewTenant(sim.TenantOptions{
		Authority: tenant.Authority(), ClientID: tenant.ClientID(), AppIDURI: tenant.AppIDURI(), Keys: tenant.Keys(),
	})
	if err != nil {
		return fmt.Errorf("stranger's tenant: %w", err)
	}
	// Graph wants tokens for its own address, so that the ports come first.
	for _, u := range Upstreams() {
		w.gates[u] = &gate{stand: http.NotFoundHandler()}
		if w.servers[u], err = sim.Serve(ctx, w.gates[u]); err != nil {
			return fmt.Errorf("%s: %w", u, err)
		}
	}
	for u, stand := range w.stands() {
		w.gates[u].open(stand)
	}
	if w.desk, err = sim.Serve(ctx, w.deskRoutes()); err != nil {
		return fmt.Errorf("desk: %w", err)
	}
	return nil
}

// Close stops every stand-in.
func (w *World) Close() error {
	var problems []error
	w.closing.Do(func() {
		for _, server := range w.servers {
			problems = append(problems, closeServer(server))
		}
		problems = append(problems, closeServer(w.desk))
		if w.Tenant != nil {
			problems = append(problems, w.Tenant.Close())
		}
	})
	return errors.Join(problems...)
}

func closeServer(s *sim.Server) error {
	if s == nil {
		return nil
	}
	return s.Close()
}

// URL is the base URL of an upstream's stand-in.
func (w *World) URL(u Upstream) string { return w.servers[u].URL }

// Limit is when an answer is due: 0.65 of the registered timeout, the gateway's default.
func (w *World) Limit() time.Duration { return w.options.Timeout * 65 / 100 }

// Break makes upstreams cut every connection from now on.
func (w *World) Break(upstreams ...Upstream) { w.set(state{down: true}, upstreams) }

// Slow makes upstreams answer rightly and late from now on.
func (w *World) Slow(delay time.Duration, upstreams ...Upstream) {
	w.set(state{delay: delay}, upstreams)
}

// Mend makes upstreams work again.
func (w *World) Mend(upstreams ...Upstream) { w.set(state{}, upstreams) }

// UnderWay is how many requests an upstream has in hand.
func (w *World) UnderWay(u Upstream) int { return int(w.gates[u].underWay.Load()) }

func (w *World) set(s state, upstreams []Upstream) {
	for _, u := range upstreams {
		w.gates[u].set(s)
	}
}

// PIM is the stand-in PIM with this world's registration, calling the gateway at a base URL.
func (w *World) PIM(gateway string, stage pim.Stage) sim.PIM {
	return sim.PIM{
		Target: gateway + path(stage), Timeout: w.options.Timeout, Retries: w.options.Retries,
		Token: func(context.Context) (string, error) { return w.Tenant.Token(sim.TokenOptions{}) },
	}
}

func path(stage pim.Stage) string {
	if stage == pim.PostApproval {
		return "/v1/pim/post-approval"
	}
	return "/v1/pim/pre-approval"
}

// gate stands before a stand-in and is where it breaks.
type gate struct {
	underWay atomic.Int64

	mu    sync.Mutex
	stand http.Handler
	state state
}

type state struct {
	down  bool
	delay time.Duration
}

func (g *gate) open(stand http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stand = stand
}

func (g *gate) set(s state) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = s
}

func (g *gate) get() (http.Handler, state) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stand, g.state
}

// ServeHTTP hands on to the stand-in unless it is down.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.underWay.Add(1)
	defer g.underWay.Add(-1)
	stand, s := g.get()
	if s.down {
		panic(http.ErrAbortHandler)
	}
	if s.delay > 0 {
		timer := time.NewTimer(s.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	stand.ServeHTTP(w, r)
}
