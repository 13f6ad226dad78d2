package gather

import (
	"context"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// bulkhead bounds the asks under way at one connector, so that a connector that hangs costs its own
// facts and not the gateway's memory.
type bulkhead struct {
	places chan struct{}
	wait   time.Duration
}

func (g *Gatherer) room(connector string, limits Limits) *bulkhead {
	const (
		inFlight = 32
		wait     = 250 * time.Millisecond
	)
	g.mu.Lock()
	defer g.mu.Unlock()
	if existing, ok := g.rooms[connector]; ok {
		return existing
	}
	if limits.InFlight <= 0 {
		limits.InFlight = inFlight
	}
	if limits.Wait <= 0 {
		limits.Wait = wait
	}
	fresh := &bulkhead{places: make(chan struct{}, limits.InFlight), wait: limits.Wait}
	g.rooms[connector] = fresh
	return fresh
}

// enter takes a place, or says why there is none.
func (b *bulkhead) enter(ctx context.Context, ask pim.Ask) (pim.Finding, bool) {
	select {
	case b.places <- struct{}{}:
		return pim.Finding{}, true
	default:
	}
	patience := time.NewTimer(b.wait)
	defer patience.Stop()
	select {
	case b.places <- struct{}{}:
		return pim.Finding{}, true
	case <-patience.C:
		return fault(ask, pim.Busy, "too many asks are under way at this connector"), false
	case <-ctx.Done():
		return fault(ask, pim.Busy, "its time was over before this connector had a place"), false
	}
}

func (b *bulkhead) leave() { <-b.places }
