package evaluation

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// flight is one request on its way to an answer, shared by all its deliveries.
type flight struct {
	digest string
	// conflict is set if another body came under the same request key.
	conflict bool
	settled  chan struct{}
	once     sync.Once
	answer   []byte
	// unrecorded is what was answered before it could be recorded; nil if the record came first.
	unrecorded *pim.Evaluation
}

func newFlight(digest string) *flight { return &flight{digest: digest, settled: make(chan struct{})} }

// settle fixes the answer, once and for ever, and reports whether it was this one.
func (f *flight) settle(answer []byte, unrecorded *pim.Evaluation) bool {
	won := false
	f.once.Do(func() {
		f.answer, f.unrecorded, won = answer, unrecorded, true
		close(f.settled)
	})
	return won
}

func (f *flight) isSettled() bool {
	select {
	case <-f.settled:
		return true
	default:
		return false
	}
}

// repeats are the flights of the last minutes by request key. The journal remembers longer; this
// memory also holds the answers that could not be recorded.
type repeats struct {
	now func() time.Time

	mu      sync.Mutex
	flights map[string][]*flight
	order   []boarding
}

type boarding struct {
	key string
	at  time.Time
}

// The memory outlasts PIM's longest retries: 6 deliveries of 60 s each.
const (
	memory     = 10 * time.Minute
	mostMemory = 16384
)

func newRepeats(now func() time.Time) *repeats {
	return &repeats{now: now, flights: map[string][]*flight{}}
}

// join returns the flight of the same request, or a new one, which the caller must run. The same key
// with another body is another flight, and flagged.
func (r *repeats) join(req request) (f *flight, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.flights[req.key] {
		if f.digest == req.digest {
			return f, false
		}
	}
	r.forget()
	f = newFlight(req.digest)
	f.conflict = len(r.flights[req.key]) > 0
	r.flights[req.key] = append(r.flights[req.key], f)
	r.order = append(r.order, boarding{req.key, r.now()})
	return f, true
}

// forget drops what is older than the memory. Flights under way are never among it: their hard stop
// comes long before.
func (r *repeats) forget() {
	horizon := r.now().Add(-memory)
	for len(r.order) > 0 && (r.order[0].at.Before(horizon) || len(r.order) >= mostMemory) {
		key := r.order[0].key
		r.order = r.order[1:]
		if r.flights[key] = r.flights[key][1:]; len(r.flights[key]) == 0 {
			delete(r.flights, key)
		}
	}
}

// repeated looks for an answer that was recorded for this very request, before a restart perhaps.
func (e *Evaluator) repeated(ctx context.Context, f *flight, r request) ([]byte, bool) {
	answers, err := e.Journal.Answered(ctx, r.key)
	if err != nil {
		// Without its memory the journal cannot record either: the evaluation will grant nothing.
		e.Logger.Error("journal cannot be read", slog.Any("error", err))
		return nil, false
	}
	for _, earlier := range answers {
		if earlier.Digest == f.digest {
			return earlier.Answer, true
		}
	}
	f.conflict = f.conflict || len(answers) > 0
	return nil, false
}
