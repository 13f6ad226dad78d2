// Package evaluation is the path of one activation: decode, plan, gather, decide, record, answer. It
// keeps the promise that every authenticated callout is answered with a decision in time, and that
// deliveries of the same request get the same bytes.
//
// It knows nothing of HTTP.
package evaluation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/gather"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
)

// Journal is the part of the journal that an evaluation needs.
type Journal interface {
	// Append returns nil only once the record is durable.
	Append(ctx context.Context, r journal.Record) error
	// Answered returns the answers recorded for a request key, newest first.
	Answered(ctx context.Context, requestKey string) ([]journal.Answered, error)
}

// Gatherer runs the asks of a plan under the context's deadline. Package gather implements it.
type Gatherer interface {
	Gather(ctx context.Context, plan gather.Plan) map[pim.AskKey]pim.Finding
}

// Settings configure an Evaluator. All fields but Now, Observe and Logger are required.
type Settings struct {
	// Policies returns the policies in force.
	Policies func() *policy.Set
	Gatherer Gatherer
	Journal  Journal
	Budget   Budget
	// InFlight bounds the evaluations under way; 0 means 256.
	InFlight int
	// Queue is how many callouts may wait for their turn when that many are under way; 0 means 64.
	Queue int
	// Wait is how long one of them waits; 0 means 100 ms.
	Wait time.Duration
	// Repeats is how long PIM can be delivering one request: its timeout times its deliveries, and a
	// margin; 0 means 7 minutes, which covers the most that can be registered.
	Repeats time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time
	// Observe is told of every answer, for metrics; nil means nobody is.
	Observe func(e pim.Evaluation, took time.Duration)
	Logger  *slog.Logger
}

// Callout is one authenticated delivery.
type Callout struct {
	Stage  pim.Stage
	Caller pim.Caller
	Body   []byte
	// Problem is what was wrong with the delivery, if anything; the body is then not looked at.
	Problem    error
	ReceivedAt time.Time
}

// Evaluator answers callouts. It is safe for concurrent use.
type Evaluator struct {
	Settings
	places  chan struct{}
	queue   chan struct{}
	repeats *repeats
	drift   *drift
	running sync.WaitGroup
	closing chan struct{}
}

// New returns an evaluator.
func New(s Settings) *Evaluator {
	const (
		inFlight = 256
		queue    = 64
		wait     = 100 * time.Millisecond
		longest  = 7 * time.Minute
	)
	if s.InFlight <= 0 {
		s.InFlight = inFlight
	}
	if s.Queue <= 0 {
		s.Queue = queue
	}
	if s.Wait <= 0 {
		s.Wait = wait
	}
	if s.Repeats <= 0 {
		s.Repeats = longest
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Observe == nil {
		s.Observe = func(pim.Evaluation, time.Duration) {}
	}
	return &Evaluator{
		Settings: s, places: make(chan struct{}, s.InFlight), queue: make(chan struct{}, s.Queue),
		repeats: newRepeats(s.Now, s.Repeats), drift: newDrift(), closing: make(chan struct{}),
	}
}

// Close waits until every evaluation under way is recorded. No callout may arrive any more.
func (e *Evaluator) Close() error {
	close(e.closing)
	e.running.Wait()
	return nil
}

// request is one callout read: an activation, or the problem with it, and what repeats of it share.
type request struct {
	Callout
	activation  pim.Activation
	problem     error
	key, digest string
}

// read never fails: a body that is no activation is a request too, and gets a denial of its own.
func read(c Callout) request {
	a, err := decode(c)
	if err == nil {
		return request{Callout: c, activation: a, key: a.RequestKey(), digest: a.Digest()}
	}
	digest := "delivery:" + newID() // nothing to know a repeat by
	if c.Problem == nil {
		sum := sha256.Sum256(c.Body)
		digest = "body:" + hex.EncodeToString(sum[:])
	}
	return request{
		Callout: c, problem: err, digest: digest, key: c.Caller.TenantID + "/" + string(c.Stage) + "/malformed/" + digest,
		activation: pim.Activation{Stage: c.Stage, TenantID: c.Caller.TenantID, Action: pim.UnknownAction},
	}
}

// decode reads the body. Whatever the body does to the decoder, its caller gets an answer.
func decode(c Callout) (a pim.Activation, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it could not be read", callout.ErrMalformed)
		}
	}()
	if c.Problem != nil {
		return a, c.Problem
	}
	return callout.Decode(c.Body, c.Stage, c.Caller, c.ReceivedAt)
}

// Answer returns the answer to a callout, always, and within the budget. The work goes on without the
// caller if it hangs up: PIM delivers again and gets the result.
func (e *Evaluator) Answer(c Callout) []byte {
	r := read(c)
	f, first := e.repeats.join(r)
	if first {
		e.running.Go(func() { e.run(f, r) })
	}
	<-f.settled
	return f.answer
}

// run takes one request to its answer. Whichever comes first settles it: the recorded decision or the
// hard stop.
func (e *Evaluator) run(f *flight, r request) {
	stop := r.ReceivedAt.Add(e.Budget.Stop)
	ctx, cancel := context.WithDeadline(context.Background(), stop)
	defer cancel()
	alarm := time.AfterFunc(time.Until(stop), func() { e.overdue(f, r) })
	defer alarm.Stop()
	defer e.recordLate(f)
	defer e.survive(f, r)
	answer, err := e.repeated(ctx, f, r)
	if err != nil {
		e.Logger.ErrorContext(ctx, "journal cannot be read", slog.Any("error", err))
		e.conclude(ctx, f, r, e.without(r, unrecorded))
		return
	}
	if answer != nil {
		f.settle(answer, nil)
		return
	}
	if r.problem != nil {
		e.conclude(ctx, f, r, e.without(r, malformed))
		return
	}
	leave, ok := e.enter(ctx)
	if !ok {
		e.conclude(ctx, f, r, e.without(r, overloaded))
		return
	}
	defer leave()
	e.conclude(ctx, f, r, e.evaluate(ctx, r))
}

// evaluate is the heart: plan, gather, decide. Recording follows in conclude, before anybody hears of
// the decision.
func (e *Evaluator) evaluate(ctx context.Context, r request) pim.Evaluation {
	begun := e.Now()
	ev := begin(r)
	ctx, cancel := context.WithDeadline(ctx, r.ReceivedAt.Add(e.Budget.Facts))
	defer cancel()

	// The time of arrival is recorded, so that the same plan can be made again later.
	plan := e.Policies().Plan(r.activation, r.ReceivedAt)
	found := e.Gatherer.Gather(ctx, plan)
	ev.Decision = guard(r.activation, plan.Decide(found))

	ev.Findings = inOrder(found)
	ev.DecidedAt = e.Now()
	ev.Budget = []pim.Span{
		{Part: "arrive", Given: e.Budget.Facts, Used: begun.Sub(r.ReceivedAt)},
		{Part: "gather", Given: r.ReceivedAt.Add(e.Budget.Facts).Sub(begun), Used: ev.DecidedAt.Sub(begun)},
	}
	return ev
}

func begin(r request) pim.Evaluation {
	return pim.Evaluation{
		ID: newID(), ReceivedAt: r.ReceivedAt, Caller: r.Caller, RequestKey: r.key, Activation: r.activation,
	}
}

// newID returns a UUID of version 7, which sorts by time and is easily found in PIM's audit log.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// enter takes a place among the evaluations under way, or among the few that wait for one.
func (e *Evaluator) enter(ctx context.Context) (leave func(), ok bool) {
	leave = func() { <-e.places }
	select {
	case e.places <- struct{}{}:
		return leave, true
	default:
	}
	select {
	case e.queue <- struct{}{}:
		defer func() { <-e.queue }()
	default:
		return nil, false
	}
	patience := time.NewTimer(e.Wait)
	defer patience.Stop()
	select {
	case e.places <- struct{}{}:
		return leave, true
	case <-patience.C:
		return nil, false
	case <-ctx.Done():
		return nil, false
	}
}
