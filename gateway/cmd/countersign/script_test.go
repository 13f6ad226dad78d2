package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"countersign": main})
}

// TestScripts runs the commands as people type them; testdata reads as a manual of them.
func TestScripts(t *testing.T) {
	t.Parallel()
	roster, rosterSum := connectortest.Build(t, module+"/plugins/roster")
	freeze, freezeSum := connectortest.Build(t, module+"/connectors/connectortest/acme/freeze")
	// The scripts run after this function, as parallel tests: what they need ends with the test.
	tenant, err := sim.StartTenant(t.Context(), sim.TenantOptions{ID: "aaaabbbb-0000-cccc-1111-dddd2222eeee"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tenant.Close() })
	endpoint := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(endpoint.Close)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "ROSTER="+roster, "ROSTER_SHA256="+rosterSum, "FREEZE="+freeze, "FREEZE_SHA256="+freezeSum,
				"AUTHORITY="+tenant.Authority(), "ENDPOINT="+endpoint.URL)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"expand": expand,
			"exits":  exits,
			"record": record,
		},
	})
}

// answer is an endpoint that approves; below /fickle it gives every answer an id of its own.
func answer(w http.ResponseWriter, r *http.Request) {
	id := "0192f0c4-7a54-7c1e-9d52-2f0a6b5e9c13"
	if strings.HasPrefix(r.URL.Path, "/fickle/") {
		id = uuid.NewString()
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"evaluationId": %q, "evaluationOutcome": "Approved", "reason": []}`, id)
}

// record writes a journal into the folder of the first argument: one activation with a justification that
// was approved.
func record(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	store, err := sqlite.Open(context.Background(), journal.Settings{
		Path: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key"), CheckpointFile: filepath.Join(dir, "journal.checkpoints"),
	})
	ts.Check(err)
	a := pim.Activation{
		Provider: pim.EntraRole, Stage: pim.PreApproval, Action: pim.SelfActivate, TenantID: "aaaabbbb-0000-cccc-1111-dddd2222eeee",
		RequestID: "911bab8a-6912-4de2-9dc0-2648ede7dd6d", PrincipalID: "3cce9d87-3986-4f19-8335-7ed075408ca2",
		RoleID: "fe930be7-5e62-47db-91af-98c3a49a38b1", Scope: "/", Duration: time.Hour, Justification: "a mailbox has to be moved",
	}
	e := pim.Evaluation{
		ID: "0192f0c4-7a54-7c1e-9d52-2f0a6b5e9c13", ReceivedAt: time.Now(), RequestKey: a.RequestKey(), Activation: a,
		Decision: pim.Decision{Recommended: pim.Approved, Returned: pim.Approved},
	}
	ts.Check(store.Append(context.Background(), journal.Record{Evaluation: e, RequestKey: e.RequestKey, Digest: a.Digest(), Answer: []byte("{}")}))
	ts.Check(store.Close())
}

// expand replaces $NAME in files by the script's variables.
func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, file := range files {
		path := ts.MkAbs(file)
		text, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(path, []byte(os.Expand(string(text), ts.Getenv)), 0o600))
	}
}

// exits runs countersign and compares its exit code with the first argument.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("countersign", args[1:]...)
	code := "0"
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // testscript returns it unwrapped
		code = []string{"0", "1", "2", "3"}[exit.ExitCode()]
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// TestCheckWarnsOfADegradedUpstream breaks a file of the roster's while it runs: it then goes on with what it
// has read.
func TestCheckWarnsOfADegradedUpstream(t *testing.T) {
	t.Parallel()
	roster, digest := connectortest.Build(t, module+"/plugins/roster")
	dir := t.TempDir()
	people := filepath.Join(dir, "people.yaml")
	write(t, people, "employments: [{email: ada@example.com, state: active}]")
	c, problems := config.Parse("countersign.yaml", fmt.Appendf(nil, `
entra: {tenant_id: aaaabbbb-0000-cccc-1111-dddd2222eeee, client_id: 00001111-aaaa-2222-bbbb-3333cccc4444}
policies: [none.yaml]
connectors:
  roster: {path: %s, sha256: %s, allow: [employment], config: {employments_file: %s}}
listen: {address: "127.0.0.1:0"}
`, roster, digest, people))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f, problems := startFleet(t.Context(), c, slog.New(slog.DiscardHandler))
	if f == nil {
		t.Fatal(problems)
	}
	defer f.Close(context.WithoutCancel(t.Context()))
	write(t, people, "employments: 7")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		var result checked
		result.reach(ctx, c, f)
		if result.Connectors[0].Upstream == fleet.UpstreamOK {
			<-time.After(10 * time.Millisecond) // until the roster notices, or does not answer any more
			continue
		}
		var out bytes.Buffer
		if err := result.text(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"upstream: degraded", "warning: countersign.yaml:5:3: connectors.roster: the upstream is degraded: ", "1 warning"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s\ndoes not show %q", out.String(), want)
			}
		}
		return
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestExamplesOfTheHelpAreCommands(t *testing.T) {
	t.Parallel()
	root := newRoot(streams{})
	var visit func(path string)
	visit = func(path string) {
		c, _, err := root.Find(splitWords(path))
		if err != nil {
			t.Fatal(err)
		}
		if c.Example == "" {
			t.Errorf("%q has no example", c.CommandPath())
		}
		for _, line := range exampleLines(c.Example) {
			if err := accepts(line); err != nil {
				t.Errorf("%q shows %q: %v", c.CommandPath(), line, err)
			}
		}
		for _, child := range c.Commands() {
			if child.Name() != "help" && child.Name() != "completion" {
				visit(filepath.Join(path, child.Name()))
			}
		}
	}
	visit("")
}

// exampleLines are the command lines of an example, each whole.
func exampleLines(example string) []string {
	return strings.Split(strings.ReplaceAll(example, "\\\n", " "), "\n")
}

// accepts fails for a line that the program would refuse before it does anything.
func accepts(line string) error {
	_, arguments, _ := strings.Cut(line, "countersign ")
	var words []string
	for i, part := range strings.Split(arguments, `"`) { // every other part is quoted
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	c, rest, err := newRoot(streams{}).Find(words)
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	return err
}

func splitWords(path string) []string {
	var words []string
	for path != "" && path != "." {
		words = append([]string{filepath.Base(path)}, words...)
		path = filepath.Dir(path)
	}
	return words
}
