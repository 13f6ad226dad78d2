package world

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

// Scenario is one activation with the answer to expect.
type Scenario struct {
	// Name is short and unique, such as "no-ticket".
	Name string
	// Who and Role say for people who wants what.
	Who, Role string
	Stage     pim.Stage
	// Activation is what Request's body stands for; its tenant is left out.
	Activation pim.Activation
	Request    sim.Request
	// Token issues the bearer token in place of PIM's own; nil for that one.
	Token func() (string, error)
	// Deliveries is how often PIM delivers the same callout, one after the other; 1 if zero.
	Deliveries int
	// Before and After change the world around the deliveries; nil for nothing.
	Before, After func()
	Expect        Expect
}

// Expect is the answer that a scenario must get.
type Expect struct {
	// Status is the HTTP status; 200 if zero.
	Status int
	// Outcome is empty if the status is not 200.
	Outcome pim.Outcome
	// ReasonContains is part of one of the reasons.
	ReasonContains string
}

// Result is what came of a scenario.
type Result struct {
	Deliveries []sim.Delivery
	// Problems say what is not as expected; none if all is.
	Problems []string
}

// OK reports whether everything was as expected.
func (r Result) OK() bool { return len(r.Problems) == 0 }

// Answer is the first answer that PIM could accept; nil if there is none.
func (r Result) Answer() *sim.Answer {
	for _, d := range r.Deliveries {
		if d.Answer != nil {
			return d.Answer
		}
	}
	return nil
}

// Status is the HTTP status of the last answer; 0 if there is none.
func (r Result) Status() int {
	status := 0
	for _, d := range r.Deliveries {
		if s := d.Status(); s != 0 {
			status = s
		}
	}
	return status
}

// Took is the time of the slowest attempt that was answered.
func (r Result) Took() time.Duration {
	var slowest time.Duration
	for _, a := range r.answered() {
		slowest = max(slowest, a.Took)
	}
	return slowest
}

func (r Result) answered() []sim.Attempt {
	var answered []sim.Attempt
	for _, d := range r.Deliveries {
		for _, a := range d.Attempts {
			if a.Status != 0 {
				answered = append(answered, a)
			}
		}
	}
	return answered
}

// Run delivers a scenario to the gateway at a base URL and compares the answers with what is expected.
func (w *World) Run(ctx context.Context, gateway string, s Scenario) Result {
	if s.Before != nil {
		s.Before()
	}
	if s.After != nil {
		defer s.After()
	}
	p := w.PIM(gateway, s.Stage)
	if s.Token != nil {
		p.Token = func(context.Context) (string, error) { return s.Token() }
	}
	var r Result
	for range max(s.Deliveries, 1) {
		r.Deliveries = append(r.Deliveries, p.Activate(ctx, s.Request))
		s.Request.HangUpAfter = 0 // PIM hangs up on the first delivery only
	}
	r.Problems = s.judge(r, w.Limit()+w.options.Timeout/10)
	return r
}

// judge compares. The time allowed is a tenth of PIM's timeout more than the limit, since PIM runs on
// the same machine here; what counts for PIM itself is the timeout.
func (s Scenario) judge(r Result, within time.Duration) []string {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	want := s.Expect.Status
	if want == 0 {
		want = http.StatusOK
	}
	if got := r.Status(); got != want {
		problem("status %d, want %d", got, want)
	}
	if want == http.StatusOK {
		problems = append(problems, s.judgeAnswer(r.Answer(), r.Deliveries)...)
	}
	if took := r.Took(); took > within {
		problem("answered after %s, want at most %s", took.Round(time.Millisecond), within)
	}
	if !identical(r.answered()) {
		problem("repeats got different answers")
	}
	return problems
}

func (s Scenario) judgeAnswer(a *sim.Answer, deliveries []sim.Delivery) []string {
	if a == nil {
		return []string{fmt.Sprintf("no acceptable answer: %v", deliveries[0].Err)}
	}
	var problems []string
	if a.Outcome != s.Expect.Outcome {
		problems = append(problems, fmt.Sprintf("outcome %s, want %s", a.Outcome, s.Expect.Outcome))
	}
	if text := strings.Join(a.Reasons, "\n"); !strings.Contains(text, s.Expect.ReasonContains) {
		problems = append(problems, fmt.Sprintf("reasons %q, want %q in them", a.Reasons, s.Expect.ReasonContains))
	}
	return problems
}

func identical(attempts []sim.Attempt) bool { return sim.Delivery{Attempts: attempts}.Identical() }
