package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

func TestDemoGetsEveryExpectedAnswerAndLeavesAJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := succeed(t, "demo", "--once", "--dir", dir)
	for _, want := range []string{"approved", "auto_approved", "denied", "HTTP 401", "answers were the expected ones"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not show %q", want)
		}
	}
	db := filepath.Join(dir, "state", "journal.db")
	var entries []struct {
		EvaluationID string `json:"evaluation_id"`
	}
	if err := json.Unmarshal([]byte(succeed(t, "journal", "show", "--db", db, "--outcome", "auto_approved", "--output", "json")), &entries); err != nil || len(entries) == 0 {
		t.Fatalf("no automatic approvals in the journal: %v", err)
	}
	story := succeed(t, "journal", "show", "--db", db, entries[0].EvaluationID)
	explained := succeed(t, "policy", "explain", "--config", filepath.Join(dir, "countersign.yaml"), "--evaluation", entries[0].EvaluationID)
	for text, want := range map[string]string{story: "returned     auto_approved", explained: "returned auto_approved"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\ndoes not show %q", text, want)
		}
	}
	if verified := succeed(t, "journal", "verify", "--db", db); !strings.Contains(verified, "intact") {
		t.Errorf("verify: %s", verified)
	}
	tamper(t, db)
	var said bytes.Buffer
	if code := run(t.Context(), []string{"journal", "verify", "--db", db}, streams{&said, &said}); code != exitNot || !strings.Contains(said.String(), "changed at 7") {
		t.Errorf("verify of a changed journal: exit code %d, %s", code, said.String())
	}
}

// cancelling is an output that cancels a context once it holds a text.
type cancelling struct {
	bytes.Buffer
	at     string
	cancel context.CancelFunc
}

func (c *cancelling) Write(text []byte) (int, error) {
	n, err := c.Buffer.Write(text)
	if strings.Contains(c.String(), c.at) {
		c.cancel()
	}
	return n, err
}

func TestInterruptedDemoHasNotGotEveryAnswer(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"building", "starting", "approved"} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &cancelling{at: at, cancel: cancel}
		var said bytes.Buffer
		if code := run(ctx, []string{"demo", "--once", "--dir", t.TempDir()}, streams{out, &said}); code != exitNot {
			t.Errorf("interrupted while %s: exit code %d, want %d", at, code, exitNot)
		}
		if strings.Contains(out.String(), "expected") || !strings.HasPrefix(said.String(), "interrupted") {
			t.Errorf("interrupted while %s: output\n%s\n%s", at, out.String(), said.String())
		}
	}
}

func TestTemporaryFolderIsKeptIfSomethingWentWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		kept bool
	}{
		{"all well", nil, false},
		{"an unexpected answer", &verdict{"1 answer not as expected"}, true},
		{"a gateway that did not start", errors.New("no keys"), true},
		{"interrupted", errInterrupted, false},
	} {
		var out bytes.Buffer
		d := &demo{out: &out, dir: filepath.Join(t.TempDir(), "demo"), log: &os.File{}}
		if err := os.Mkdir(d.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := d.tidy(tc.err); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		_, err := os.Stat(d.dir)
		if kept := err == nil; kept != tc.kept || strings.Contains(out.String(), d.dir) != tc.kept {
			t.Errorf("%s: kept %t, want %t; said %q", tc.name, kept, tc.kept, out.String())
		}
	}
}

func TestPluginsOfADemoDoNotChangeWithALaterBuild(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := &demo{out: &out, dir: t.TempDir()}
	paths, err := d.findPlugins(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for name, path := range paths {
		if path != filepath.Join(d.dir, "plugins", name) {
			t.Errorf("plugin %s is %s, want it in the demo's folder", name, path)
		}
	}
	built, own, next := filepath.Join(d.dir, "built"), filepath.Join(d.dir, "own"), filepath.Join(d.dir, "next")
	for _, content := range []string{"first", "second"} {
		if err := os.WriteFile(next, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, built); err != nil { // as go build does
			t.Fatal(err)
		}
		if content == "first" {
			if err := errors.Join(os.WriteFile(own, nil, 0o600), linkOrCopy(built, own)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := os.ReadFile(own); err != nil || string(got) != "first" {
		t.Errorf("the demo's own program is %q, %v", got, err)
	}
}

func succeed(t *testing.T, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	if code := run(t.Context(), args, streams{&out, &problems}); code != exitOK {
		t.Fatalf("%v: exit code %d\n%s\n%s", args, code, out.String(), problems.String())
	}
	return out.String()
}

// tamper turns a denial into an approval, as somebody with access to the file could.
func tamper(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE entries SET outcome = 'approved' WHERE seq = 7"); err != nil {
		t.Fatal(err)
	}
}

// TestReplayingTheJournalGivesTheSameDecisions puts what was found to the policies again.
func TestReplayingTheJournalGivesTheSameDecisions(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	justifications := map[string]string{}
	for _, s := range calm(d.world.Scenarios()) {
		d.world.Run(t.Context(), d.url(), s)
		justifications[s.Activation.RequestID] = s.Activation.Justification
	}
	reader, err := sqlite.OpenReader(t.Context(), string(d.gateway.config.Journal.Path))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	replayed := 0
	for entry, err := range reader.Entries(t.Context(), journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		e := entry.Evaluation
		if e.Decision.Cause == "malformed_callout" {
			continue
		}
		replayed++
		e.Activation.Justification = justifications[e.Activation.RequestID] // the journal has its hash only
		plan := d.gateway.policies.Plan(e.Activation, e.ReceivedAt)
		again := plan.Decide(recall(d.gateway.fleet.Offers(), e.Findings).answer(plan))
		if again.Returned != e.Decision.Returned || !slices.Equal(again.Reasons, e.Decision.Reasons) {
			t.Errorf("evaluation %s: was %s %q, is %s %q", e.ID, e.Decision.Returned, e.Decision.Reasons, again.Returned, again.Reasons)
		}
	}
	if replayed < 20 {
		t.Errorf("%d decisions replayed, want more", replayed)
	}
}

// startDemo starts the demo's world and gateway for one test.
func startDemo(t *testing.T) *demo {
	t.Helper()
	var out bytes.Buffer
	d := &demo{out: &out, dir: t.TempDir()}
	t.Cleanup(func() {
		if err := d.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := d.start(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return d
}

// uses says which upstream's facts a scenario's automatic approval rests on.
func mayStillBeAutoApproved(s world.Scenario, broken world.Upstream) bool {
	if s.Activation.Provider == pim.Group {
		return broken == world.ITSM || broken == world.HR
	}
	return broken == world.Rota || broken == world.HR
}

// TestUpstreamThatIsDownNeverMakesAnAnswerLateOrAutomatic breaks each upstream in turn and activates
// everything.
func TestUpstreamThatIsDownNeverMakesAnAnswerLateOrAutomatic(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for _, upstream := range world.Upstreams() {
		d.world.Break(upstream)
		for _, s := range calm(d.world.Scenarios()) {
			result := d.world.Run(t.Context(), d.url(), s)
			judge(t, d, s, result, fmt.Sprintf("%s down", upstream))
			answer := result.Answer()
			if answer != nil && answer.Outcome == pim.AutoApproved && !mayStillBeAutoApproved(s, upstream) {
				t.Errorf("%s, %s down: auto-approved", s.Name, upstream)
			}
		}
		d.world.Mend(upstream)
	}
}

// calm leaves out the scenarios that break and mend upstreams themselves.
func calm(all []world.Scenario) []world.Scenario {
	return slices.DeleteFunc(all, func(s world.Scenario) bool { return s.Before != nil })
}

func judge(t *testing.T, d *demo, s world.Scenario, r world.Result, when string) {
	t.Helper()
	if took := r.Took(); took > d.world.Limit()+d.world.Limit()/10 {
		t.Errorf("%s, %s: answered after %v of %v", s.Name, when, took, d.world.Limit())
	}
	if s.Expect.Status == 0 && r.Answer() == nil {
		t.Errorf("%s, %s: no answer: %v", s.Name, when, r.Problems)
	}
	if a := r.Answer(); a != nil && a.Outcome == pim.AutoApproved && s.Expect.Outcome != pim.AutoApproved {
		t.Errorf("%s, %s: auto-approved, which it never is", s.Name, when)
	}
}

// TestPluginThatIsKilledOrStoppedNeverMakesAnAnswerLateOrAutomatic holds each plugin down, once by killing
// it whenever it is back and once by stopping it, and activates everything. A plugin that came back in
// time may have told the facts; one that is stopped cannot have.
func TestPluginThatIsKilledOrStoppedNeverMakesAnAnswerLateOrAutomatic(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	needed := map[string]world.Upstream{"directory": world.Graph, "itsm": world.ITSM, "rota": world.Rota, "hr": world.HR}
	for _, connector := range sortedKeys(needed) {
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
			end := harass(d, connector, signal)
			for _, s := range calm(d.world.Scenarios())[15:30] {
				result := d.world.Run(t.Context(), d.url(), s)
				judge(t, d, s, result, fmt.Sprintf("%s hit by %s", connector, signal))
			}
			end()
		}
	}
}

// harass sends a connector's process a signal every 20 ms until it is told to end.
func harass(d *demo, connector string, signal syscall.Signal) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for _, s := range d.gateway.fleet.Status() {
				if s.Connector == connector && s.PID > 1 && s.PID != os.Getpid() {
					_ = syscall.Kill(s.PID, signal)
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
