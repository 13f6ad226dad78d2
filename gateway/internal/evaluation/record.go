package evaluation

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// conclude records an evaluation and settles its flight with the answer: no record, no grant.
func (e *Evaluator) conclude(ctx context.Context, f *flight, r request, ev pim.Evaluation) {
	if f.isSettled() {
		return
	}
	begun := e.Now()
	ev.Conflict = f.conflict.Load()
	answer := callout.Answer(ev)
	var late *pim.Evaluation
	if err := e.Journal.Append(ctx, record(f, ev, answer)); err != nil {
		e.Logger.Error("journal unavailable", slog.String("evaluation_id", ev.ID), slog.Any("error", err))
		ev = e.without(r, unrecorded)
		ev.Conflict = f.conflict.Load()
		answer, late = callout.Answer(ev), &ev
	}
	if !f.settle(answer, late) {
		return
	}
	e.Observe(ev, e.Now().Sub(ev.ReceivedAt))
	e.log(ev, e.Now().Sub(begun))
	e.drift.report(ev.Activation, e.Logger)
}

// recordLate records an answer that went out before its record: the hard stop's, or a denial because
// the journal was too slow. A decision that the journal wrote after all may stand before it, and the
// newest record is the one that later deliveries are told.
func (e *Evaluator) recordLate(f *flight) {
	<-f.settled
	if f.unrecorded == nil {
		return
	}
	const shortest, longest = 100 * time.Millisecond, 10 * time.Second
	enough := time.After(memory) // so that an outage of hours fills no memory
	for pause := shortest; ; pause = min(2*pause, longest) {
		err := e.append(record(f, *f.unrecorded, f.answer))
		if err == nil || errors.Is(err, journal.ErrDuplicate) {
			return
		}
		select {
		case <-time.After(pause):
			continue
		case <-enough:
		case <-e.closing:
		}
		e.Logger.Error("answer not recorded", slog.String("evaluation_id", f.unrecorded.ID), slog.Any("error", err))
		return
	}
}

// append waits for the journal with patience: nobody waits for this record.
func (e *Evaluator) append(r journal.Record) error {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return e.Journal.Append(ctx, r)
}

func record(f *flight, ev pim.Evaluation, answer []byte) journal.Record {
	if ev.Decision.Reasons == nil {
		ev.Decision.Reasons = []string{} // a list in JSON, as everywhere
	}
	return journal.Record{Evaluation: ev, RequestKey: ev.RequestKey, Digest: f.digest, Answer: answer}
}

// log writes the one event of an evaluation. It names no ticket text, justification or person other
// than by object id.
func (e *Evaluator) log(ev pim.Evaluation, recording time.Duration) {
	a, d := ev.Activation, ev.Decision
	faults := make([]string, 0, len(ev.Findings))
	for _, f := range ev.Findings {
		if f.Fault != pim.NoFault {
			faults = append(faults, f.Ask.Connector+": "+string(f.Fault)+": "+f.Detail)
		}
	}
	e.Logger.Info("evaluation",
		slog.String("evaluation_id", ev.ID),
		slog.String("request_key", ev.RequestKey),
		slog.String("provider", string(a.Provider)),
		slog.String("stage", string(a.Stage)),
		slog.String("action", string(a.Action)),
		slog.String("principal_id", a.PrincipalID),
		slog.String("role_id", a.RoleID),
		slog.String("group_id", a.GroupID),
		slog.String("scope", a.Scope),
		slog.String("returned", string(d.Returned)),
		slog.String("recommended", string(d.Recommended)),
		slog.String("cause", d.Cause),
		slog.Any("policies", d.Policies),
		slog.Any("faults", faults),
		slog.Bool("conflict", ev.Conflict),
		slog.Duration("decided_after", ev.DecidedAt.Sub(ev.ReceivedAt)),
		slog.Duration("recorded_in", recording),
	)
}
