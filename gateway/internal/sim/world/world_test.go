package world_test

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

func start(t *testing.T) *world.World {
	t.Helper()
	w, err := world.Start(t.Context(), world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestEveryScenarioGetsTheAnswerItExpects(t *testing.T) {
	t.Parallel()
	w := start(t)
	gateway := startGateway(t, w)
	for _, s := range w.Scenarios() {
		r := w.Run(t.Context(), gateway, s)
		t.Logf("%-30s %-14s %-40s %4d ms of %d: %s", s.Name, s.Who, s.Role, r.Took().Milliseconds(), w.Limit().Milliseconds(), told(r))
		for _, problem := range r.Problems {
			t.Errorf("%s: %s", s.Name, problem)
		}
	}
}

func told(r world.Result) string {
	if a := r.Answer(); a != nil {
		return string(a.Outcome) + " " + strings.Join(a.Reasons, " | ")
	}
	return http.StatusText(r.Status())
}

func TestScenariosShowEverything(t *testing.T) {
	t.Parallel()
	names, providers, stages, outcomes := map[string]bool{}, map[pim.Provider]bool{}, map[pim.Stage]bool{}, map[pim.Outcome]bool{}
	for _, s := range start(t).Scenarios() {
		if names[s.Name] || s.Name == "" || s.Who == "" || s.Role == "" {
			t.Errorf("scenario %q of %q for %q is not described, or comes twice", s.Name, s.Who, s.Role)
		}
		names[s.Name], providers[s.Activation.Provider], stages[s.Stage], outcomes[s.Expect.Outcome] = true, true, true, true
	}
	if len(names) < 20 || len(providers) != 3 || len(stages) != 2 || len(outcomes) != 4 {
		t.Errorf("%d scenarios, providers %v, stages %v, outcomes %v", len(names), providers, stages, outcomes)
	}
}

func TestBodiesStandForTheirActivations(t *testing.T) {
	t.Parallel()
	for _, s := range start(t).Scenarios() {
		got, err := callout.Decode(s.Request.Body, s.Stage, pim.Caller{}, time.Now())
		if s.Name == "twin-members" || s.Name == "no-json" {
			if err == nil {
				t.Errorf("%s: read as %+v", s.Name, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		ignored := cmpopts.IgnoreFields(pim.Activation{}, "StartsOnArrival", "EndGiven", "StartsAt", "RequestedBy", "UnknownMembers")
		if diff := cmp.Diff(s.Activation, got, ignored); diff != "" {
			t.Errorf("%s: %s", s.Name, diff)
		}
	}
}

func TestAWrongAnswerIsAProblem(t *testing.T) {
	t.Parallel()
	w := start(t)
	gateway := startGateway(t, w)
	right := w.Scenarios()[0]
	for name, change := range map[string]func(*world.Scenario){
		"another outcome": func(s *world.Scenario) { s.Expect.Outcome = pim.AutoApproved },
		"another reason":  func(s *world.Scenario) { s.Expect.ReasonContains = "the moon" },
		"another status":  func(s *world.Scenario) { s.Expect.Status = http.StatusUnauthorized },
		"no token":        func(s *world.Scenario) { s.Token = func() (string, error) { return "", nil } },
		"another stage": func(s *world.Scenario) {
			s.Stage, s.Expect.ReasonContains = pim.PostApproval, ""
			s.Expect.Outcome = pim.Denied
		},
	} {
		s := right
		change(&s)
		if w.Run(t.Context(), gateway, s).OK() {
			t.Errorf("%s is no problem", name)
		}
	}
	if r := w.Run(t.Context(), gateway, right); !r.OK() {
		t.Errorf("the right answer is a problem: %v", r.Problems)
	}
}

func TestDifferentAnswersToRepeatsAreAProblem(t *testing.T) {
	t.Parallel()
	w := start(t)
	n := 0
	server, err := sim.Serve(t.Context(), http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		n++
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"evaluationId":"`+strings.Repeat("e", n)+`","evaluationOutcome":"Approved","reason":[]}`)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s := w.Scenarios()[0]
	if !w.Run(t.Context(), server.URL, s).OK() {
		t.Fatal("one delivery is a problem")
	}
	s.Deliveries = 2
	if w.Run(t.Context(), server.URL, s).OK() {
		t.Error("different answers are no problem")
	}
}

func TestTheDeskHandsOutWhatCurlNeeds(t *testing.T) {
	t.Parallel()
	connectortest.Needs(t, "curl", "curl")
	w := start(t)
	gateway := startGateway(t, w)
	for _, s := range w.Scenarios()[:2] {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", w.Curl(gateway, s)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"evaluationOutcome":"Approved"`) {
			t.Errorf("%s: %v: %s", s.Name, err, out)
		}
	}
}

func TestUpstreamsBreakAndMend(t *testing.T) {
	t.Parallel()
	w := start(t)
	o := oracle{w}
	for _, connector := range []string{"directory", "itsm", "rota", "hr"} {
		u, _ := upstreamOf(connector)
		if err := o.Probe(t.Context(), connector); err != nil {
			t.Errorf("%s: %v", connector, err)
		}
		w.Break(u)
		if o.Probe(t.Context(), connector) == nil {
			t.Errorf("%s answers while it is down", connector)
		}
		w.Mend(u)
		if err := o.Probe(t.Context(), connector); err != nil {
			t.Errorf("%s after mending: %v", connector, err)
		}
	}
}

func TestALateAnswerIsAProblem(t *testing.T) {
	t.Parallel()
	w, err := world.Start(t.Context(), world.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	server, err := sim.Serve(t.Context(), http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		<-time.After(w.Limit() + 150*time.Millisecond)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"evaluationId":"e","evaluationOutcome":"Approved","reason":[]}`)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if r := w.Run(t.Context(), server.URL, w.Scenarios()[0]); r.OK() || r.Took() < w.Limit() {
		t.Errorf("an answer after %s is no problem", r.Took())
	}
}
