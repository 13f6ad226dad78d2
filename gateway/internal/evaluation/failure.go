package evaluation

import (
	"log/slog"
	"time"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// failure is why an answer is given without a policy's decision; it is the decision's Cause.
type failure string

// The failures. Each is a denial, except where nothing but shadow policies apply: a rehearsal locks
// nobody out.
const (
	malformed  failure = "malformed_callout"
	overloaded failure = "overloaded"
	late       failure = "overdue"
	unrecorded failure = "journal_unavailable"
	internal   failure = "internal_error"
)

// reason is the sentence for the requester.
func (f failure) reason(r request) string {
	switch f {
	case malformed:
		return callout.Reason(r.problem)
	case overloaded:
		return "The gateway is overloaded. Try again in a minute."
	case late:
		return "The check took too long. Try again in a minute."
	case unrecorded:
		return "The decision could not be recorded, so nothing was granted. Try again in a minute."
	case internal:
	}
	return "The check could not be carried out. Contact the operators of the gateway."
}

// without concludes a request without gathering anything.
func (e *Evaluator) without(r request, why failure) pim.Evaluation {
	ev := denied(r, why, e.Now())
	set := e.Policies()
	ev.Decision.PolicyRevision = set.Revision()
	if r.problem == nil && (r.activation.Action.GivesUpAccess() || set.Plan(r.activation, ev.DecidedAt).OnlyShadow()) {
		ev.Decision.Returned = pim.Approved
	}
	return ev
}

// denied needs nothing but the request.
func denied(r request, why failure, now time.Time) pim.Evaluation {
	if r.problem != nil {
		why = malformed // whatever else went wrong, this is what the caller has to know
	}
	ev := begin(r)
	ev.DecidedAt = now
	ev.Decision = pim.Decision{Recommended: pim.Denied, Returned: pim.Denied, Cause: string(why), Reasons: []string{why.reason(r)}}
	return ev
}

// overdue is the hard stop. What it answers is recorded when the evaluation ends: it grants nothing, and
// must not wait for a disk that may be the reason why it is needed.
func (e *Evaluator) overdue(f *flight, r request) {
	defer e.survive(f, r)
	e.stop(f, e.without(r, late))
}

// survive ends a request whose evaluation panicked. It asks no policy, since that may be what did.
func (e *Evaluator) survive(f *flight, r request) {
	if p := recover(); p != nil {
		e.Logger.Error("evaluation panicked", slog.Any("panic", p), slog.String("request_key", r.key))
		e.stop(f, denied(r, internal, e.Now()))
	}
}

// stop answers before there is a record.
func (e *Evaluator) stop(f *flight, ev pim.Evaluation) {
	ev.Conflict = f.conflict.Load()
	if !f.settle(callout.Answer(ev), &ev) {
		return
	}
	e.Logger.Error("answered without a record", slog.String("evaluation_id", ev.ID), slog.String("cause", ev.Decision.Cause),
		slog.String("request_key", ev.RequestKey))
	e.Observe(ev, e.Now().Sub(ev.ReceivedAt))
}
