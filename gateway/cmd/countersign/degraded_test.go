package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/connectors/connectortest"
)

// A machine that comes back at night without a file must not leave the endpoint without an answer.
func TestServeBeginsWithoutAConnectorThatItKnows(t *testing.T) {
	t.Parallel()
	path := small(t, startTenant(t), `address: "127.0.0.1:0", drain: 0s`, "")
	people := filepath.Join(filepath.Dir(path), "people.yaml")
	write(t, people, "employments: [{email: ada@example.com, state: active}]")
	roster, digest := connectortest.Build(t, module+"/plugins/roster")
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(document)+fmt.Sprintf("connectors:\n  roster: {path: %s, sha256: %s, allow: [employment], config: {employments_file: %s}}\n", roster, digest, people))

	serve := func(wanted int, message string) *heard {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		said, code := serving(ctx, path)
		if wanted == exitOK {
			said.await(t, message)
			cancel()
		}
		if c := exited(t, said, code); c != wanted || !strings.Contains(said.String(), message) {
			t.Fatalf("exit code %d\n%s", c, said)
		}
		return said
	}
	if err := os.Rename(people, people+".away"); err != nil {
		t.Fatal(err)
	}
	serve(exitNot, "connectors.roster.config: the plugin could not begin with these settings: "+people)
	if err := os.Rename(people+".away", people); err != nil {
		t.Fatal(err)
	}
	serve(exitOK, "serving")
	if err := os.Rename(people, people+".away"); err != nil {
		t.Fatal(err)
	}
	said := serve(exitOK, "serving")
	if got := fmt.Sprint(said.lines("connector has a problem")); !strings.Contains(got, "connectors.roster.config") || !strings.Contains(got, "cannot be read") {
		t.Errorf("logged %s\n%s", got, said)
	}
	if got := run(t.Context(), []string{"check", "--config", path}, streams{&heard{}, &heard{}}); got != exitNot {
		t.Errorf("check exits with %d where the connector does not start", got)
	}
}
