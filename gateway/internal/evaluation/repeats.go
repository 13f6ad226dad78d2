package evaluation

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// flight is one request on its way to an answer, shared by all its deliveries.
type flight struct {
	digest string
	began  time.Time
	// conflict is set if another body came under the same request key.
	conflict atomic.Bool
	settled  chan struct{}
	once     sync.Once
	answer   []byte
	// unrecorded is what was answered before it could be recorded; nil if the record came first.
	unrecorded *pim.Evaluation
}

func newFlight(digest string, began time.Time) *flight {
	return &flight{digest: digest, began: began, settled: make(chan struct{})}
}

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
	// span is how long a request without an id is taken for a repeat.
	span time.Duration

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

func newRepeats(now func() time.Time, span time.Duration) *repeats {
	return &repeats{now: now, span: span, flights: map[string][]*flight{}}
}

// mayRepeat reports whether an earlier delivery at a time can have been one of this request. PIM's
// identifier says so for as long as anything is remembered. Without one, two activations that look
// the same are the same only as long as PIM can still be delivering: later, somebody has asked again.
func (r *repeats) mayRepeat(req request, earlier time.Time) bool {
	return req.activation.RequestID != "" || r.now().Sub(earlier) <= r.span
}

// join returns the flight of the same request, or a new one, which the caller must run. The same key
// with another body is another flight, and flagged.
func (r *repeats) join(req request) (f *flight, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.flights[req.key] {
		if f.digest == req.digest && r.mayRepeat(req, f.began) {
			return f, false
		}
	}
	r.forget()
	f = newFlight(req.digest, r.now())
	f.conflict.Store(differs(r.flights[req.key], req.digest))
	r.flights[req.key] = append(r.flights[req.key], f)
	r.order = append(r.order, boarding{req.key, r.now()})
	return f, true
}

func differs(flights []*flight, digest string) bool {
	return slices.ContainsFunc(flights, func(f *flight) bool { return f.digest != digest })
}

// backdate says that a flight began with an earlier delivery.
func (r *repeats) backdate(f *flight, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.began = began
}

// forget drops what is older than the memory, or more than it holds. A flight under way is among it only
// if a thousand requests a second come; its repeats are then evaluated on their own.
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

// repeated looks for an answer that was recorded for this very request, before a restart perhaps. An
// error means that nobody knows: evaluating anew could tell PIM something else than before.
func (e *Evaluator) repeated(ctx context.Context, f *flight, r request) (answer []byte, err error) {
	answers, err := e.Journal.Answered(ctx, r.key)
	if err != nil {
		return nil, err
	}
	for _, earlier := range answers {
		switch {
		case earlier.Digest != f.digest:
			f.conflict.Store(true)
		case answer == nil && e.repeats.mayRepeat(r, earlier.At):
			answer = earlier.Answer
			e.repeats.backdate(f, earlier.At)
		}
	}
	return answer, nil
}
