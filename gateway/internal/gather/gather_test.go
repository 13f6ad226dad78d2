package gather_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/gateway/internal/gather"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// plan asks first, then (once first was found) second, and settles as told.
type plan struct {
	asks    []pim.Ask
	after   map[pim.AskKey]pim.Ask
	settled func(found map[pim.AskKey]pim.Finding) bool
	outcome pim.Outcome
}

func (p *plan) Next(found map[pim.AskKey]pim.Finding) (asks []pim.Ask, foregone []pim.Finding) {
	for _, a := range p.asks {
		if _, ok := found[a.Key()]; !ok {
			asks = append(asks, a)
		}
	}
	for key, dependent := range p.after {
		source, ok := found[key]
		if _, done := found[dependent.Key()]; !ok || done {
			continue
		}
		if source.Fault != pim.NoFault {
			foregone = append(foregone, pim.Finding{Ask: dependent, Fault: pim.Unavailable, FaultSource: pim.FromQuestion})
			continue
		}
		asks = append(asks, dependent)
	}
	return asks, foregone
}

func (p *plan) Settled(found map[pim.AskKey]pim.Finding) bool {
	return p.settled != nil && p.settled(found)
}

func (p *plan) Decide(map[pim.AskKey]pim.Finding) pim.Decision {
	return pim.Decision{Returned: p.outcome}
}

// upstreams answers each connector by its own function; a connector without one answers at once.
type upstreams struct {
	answer map[string]func(ctx context.Context, ask pim.Ask) pim.Finding
	health func(connector string) error
	asked  atomic.Int64
	probed atomic.Int64
}

func (u *upstreams) Ask(ctx context.Context, ask pim.Ask) pim.Finding {
	u.asked.Add(1)
	if f, ok := u.answer[ask.Connector]; ok {
		return f(ctx, ask)
	}
	return found(ctx, ask)
}

func (u *upstreams) Probe(_ context.Context, connector string) error {
	u.probed.Add(1)
	if u.health == nil {
		return nil
	}
	return u.health(connector)
}

func found(_ context.Context, ask pim.Ask) pim.Finding {
	return pim.Finding{Ask: ask, Found: true, ObservedAt: time.Now()}
}

func down(_ context.Context, ask pim.Ask) pim.Finding {
	return pim.Finding{Ask: ask, Fault: pim.Unavailable, FaultSource: pim.FromUpstream}
}

// deaf ignores its context, as a hung process would.
func deaf(_ context.Context, ask pim.Ask) pim.Finding {
	time.Sleep(time.Hour)
	return pim.Finding{Ask: ask, Found: true}
}

func ask(connector string) pim.Ask {
	return pim.Ask{Connector: connector, Capability: "countersign.ticket.v1.TicketService/GetTicket"}
}

func TestAsksRunInParallelAndDependentsFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(_ context.Context, a pim.Ask) pim.Finding {
			time.Sleep(time.Second)
			return pim.Finding{Ask: a, Found: true, ObservedAt: time.Now()}
		}
		u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"a": slow, "b": slow, "c": slow}}
		g := gather.New(u, gather.Settings{})
		defer g.Close()
		p := &plan{asks: []pim.Ask{ask("a"), ask("b")}, after: map[pim.AskKey]pim.Ask{ask("a").Key(): ask("c")}}
		begun := time.Now()
		got := g.Gather(t.Context(), p)
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("took %v, want 2s: a and b together, then c", took)
		}
		for _, name := range []string{"a", "b", "c"} {
			if f := got[ask(name).Key()]; !f.Found {
				t.Errorf("%s: %+v, want found", name, f)
			}
		}
	})
}

func TestAtTheDeadlineWhatIsMissingIsATimeoutAndDependentsAreForegone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"deaf": deaf}}
		g := gather.New(u, gather.Settings{})
		defer g.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		got := g.Gather(ctx, &plan{asks: []pim.Ask{ask("deaf"), ask("quick")}, after: map[pim.AskKey]pim.Ask{ask("deaf").Key(): ask("next")}})
		if took := time.Since(begun); took != time.Second {
			t.Errorf("took %v, want the deadline, 1s", took)
		}
		if f := got[ask("deaf").Key()]; f.Fault != pim.Timeout {
			t.Errorf("deaf: fault %q, want timeout", f.Fault)
		}
		if f := got[ask("next").Key()]; f.Fault != pim.Unavailable || f.FaultSource != pim.FromQuestion {
			t.Errorf("next: %+v, want unavailable because of its question", f)
		}
		if f := got[ask("quick").Key()]; !f.Found {
			t.Errorf("quick: %+v, want found", f)
		}
		time.Sleep(2 * time.Hour) // lets the deaf one end, so that no goroutine is left
	})
}

func TestSettledPlanDoesNotWaitAndADenialLingers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome pim.Outcome
		want    time.Duration
	}{
		"approval": {pim.Approved, 0},
		"denial":   {pim.Denied, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"slow": func(ctx context.Context, a pim.Ask) pim.Finding {
					<-ctx.Done()
					return pim.Finding{Ask: a, Fault: pim.Timeout}
				}}}
				g := gather.New(u, gather.Settings{Linger: 50 * time.Millisecond})
				defer g.Close()
				begun := time.Now()
				got := g.Gather(t.Context(), &plan{
					asks: []pim.Ask{ask("slow"), ask("quick")}, outcome: c.outcome,
					settled: func(f map[pim.AskKey]pim.Finding) bool { return f[ask("quick").Key()].Found },
				})
				if took := time.Since(begun); took != c.want {
					t.Errorf("took %v, want %v", took, c.want)
				}
				if _, ok := got[ask("slow").Key()]; ok {
					t.Error("the ask nobody waited for has a finding")
				}
			})
		})
	}
}

func TestBreakerOpensOnUpstreamFaultsAndOnlyAProbeClosesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		broken := errors.New("still broken")
		health := broken
		u := &upstreams{
			answer: map[string]func(context.Context, pim.Ask) pim.Finding{"itsm": down},
			health: func(string) error { mu.Lock(); defer mu.Unlock(); return health },
		}
		g := gather.New(u, gather.Settings{})
		defer g.Close()
		once := func() pim.Finding {
			return g.Gather(t.Context(), &plan{asks: []pim.Ask{ask("itsm")}})[ask("itsm").Key()]
		}
		for range 3 {
			if f := once(); f.Fault != pim.Unavailable {
				t.Fatalf("fault %q, want unavailable", f.Fault)
			}
		}
		if f := once(); f.Fault != pim.BreakerOpen || f.FaultSource != pim.FromGateway {
			t.Fatalf("after three faults: %+v, want breaker_open", f)
		}
		for range 300 { // half a minute, so that some fall between the breaker's rest and its probe
			time.Sleep(100 * time.Millisecond)
			if f := once(); f.Fault != pim.BreakerOpen || u.asked.Load() != 3 {
				t.Fatalf("%+v after %d asks; an activation must never be the trial", f, u.asked.Load())
			}
		}
		mu.Lock()
		health = nil
		mu.Unlock()
		u.answer["itsm"] = found
		time.Sleep(7 * time.Second)
		if f := once(); !f.Found {
			t.Fatalf("7 s after recovery: %+v, want found", f)
		}
		if u.probed.Load() == 0 {
			t.Error("nobody probed")
		}
	})
}

func TestBreakerIgnoresFaultsThatAreNotTheUpstreams(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]pim.Finding{
		"not found":    {Found: false},
		"bad question": {Fault: pim.Malformed, FaultSource: pim.FromQuestion},
		"ambiguous":    {Fault: pim.Ambiguous, FaultSource: pim.FromUpstream},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"itsm": func(_ context.Context, a pim.Ask) pim.Finding {
				f.Ask = a
				return f
			}}}
			g := gather.New(u, gather.Settings{})
			defer g.Close()
			for range 20 {
				got := g.Gather(t.Context(), &plan{asks: []pim.Ask{ask("itsm")}})[ask("itsm").Key()]
				if got.Fault == pim.BreakerOpen {
					t.Fatal("the breaker opened")
				}
			}
		})
	}
}

func TestWhatIsOlderThanTheAskAllowsIsStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		age := time.Duration(0)
		u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"file": func(_ context.Context, a pim.Ask) pim.Finding {
			return pim.Finding{Ask: a, Found: true, ObservedAt: time.Now().Add(-age)}
		}}}
		g := gather.New(u, gather.Settings{})
		defer g.Close()
		for _, c := range []struct {
			age, most time.Duration
			want      bool
		}{
			{0, 0, false},
			{4 * time.Second, 0, false},
			{6 * time.Second, 0, true},
			{6 * time.Second, time.Second, true},
			{time.Minute, time.Minute, false},
			{61 * time.Second, time.Minute, true},
			{-4 * time.Second, 0, false},
			{-time.Hour, time.Minute, true},
		} {
			age = c.age
			a := ask("file")
			a.MaxAge = c.most
			if f := g.Gather(t.Context(), &plan{asks: []pim.Ask{a}})[a.Key()]; f.Stale != c.want {
				t.Errorf("%v old where %v is allowed: stale is %v", c.age, c.most, f.Stale)
			}
		}
	})
}

// TestAsksThatAreNotNeededAnyMoreDoNotOpenABreaker: a connector that is cancelled says timeout, as gRPC
// does.
func TestAsksThatAreNotNeededAnyMoreDoNotOpenABreaker(t *testing.T) {
	t.Parallel()
	for name, hurry := range map[string]bool{"settled by another": false, "no time left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"slow": func(ctx context.Context, a pim.Ask) pim.Finding {
					<-ctx.Done()
					return pim.Finding{Ask: a, Fault: pim.Timeout, FaultSource: pim.FromUpstream}
				}, "quick": func(_ context.Context, a pim.Ask) pim.Finding {
					time.Sleep(time.Second) // long enough for the slow one to be blamed
					return pim.Finding{Ask: a, Found: true, ObservedAt: time.Now()}
				}}}
				g := gather.New(u, gather.Settings{})
				defer g.Close()
				for range 20 {
					ctx, cancel := context.WithCancel(t.Context())
					p := &plan{asks: []pim.Ask{ask("slow"), ask("quick")}}
					if hurry {
						ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
					} else {
						p.settled = func(f map[pim.AskKey]pim.Finding) bool { return f[ask("quick").Key()].Found }
					}
					g.Gather(ctx, p)
					cancel()
					time.Sleep(2 * time.Second) // until all of this round has ended
				}
				if n := u.asked.Load(); n != 40 {
					t.Errorf("%d of 40 asks were put; the breaker kept the others", n)
				}
			})
		})
	}
}

func TestHungConnectorTakesItsOwnPlacesOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"hung": deaf}}
		g := gather.New(u, gather.Settings{Limits: func(string) gather.Limits {
			return gather.Limits{InFlight: 2, Wait: 10 * time.Millisecond, Timeout: 100 * time.Millisecond, Breaker: gather.Breaker{Consecutive: 1000, Requests: 1000}}
		}})
		defer g.Close()
		for i, want := range []pim.Fault{pim.Timeout, pim.Timeout, pim.Busy} {
			got := g.Gather(t.Context(), &plan{asks: []pim.Ask{ask("hung"), ask("well")}})
			if f := got[ask("hung").Key()].Fault; f != want {
				t.Errorf("call %d: fault %q, want %q", i, f, want)
			}
			if !got[ask("well").Key()].Found {
				t.Errorf("call %d: the other connector suffered", i)
			}
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestPanicBecomesAFault(t *testing.T) {
	t.Parallel()
	u := &upstreams{answer: map[string]func(context.Context, pim.Ask) pim.Finding{"bug": func(context.Context, pim.Ask) pim.Finding {
		panic("bug")
	}}}
	g := gather.New(u, gather.Settings{})
	defer g.Close()
	if f := g.Gather(t.Context(), &plan{asks: []pim.Ask{ask("bug")}})[ask("bug").Key()]; f.Fault != pim.Malformed {
		t.Errorf("fault %q, want malformed", f.Fault)
	}
}
