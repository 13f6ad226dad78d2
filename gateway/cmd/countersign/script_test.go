package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/connectors/connectortest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"countersign": main})
}

// TestScripts runs the commands as people type them; testdata reads as a manual of them.
func TestScripts(t *testing.T) {
	t.Parallel()
	roster, rosterSum := connectortest.Build(t, module+"/plugins/roster")
	freeze, freezeSum := connectortest.Build(t, module+"/connectors/connectortest/acme/freeze")
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "ROSTER="+roster, "ROSTER_SHA256="+rosterSum, "FREEZE="+freeze, "FREEZE_SHA256="+freezeSum)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"expand": expand,
			"exits":  exits,
		},
	})
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
		for _, child := range c.Commands() {
			if child.Name() != "help" && child.Name() != "completion" {
				visit(filepath.Join(path, child.Name()))
			}
		}
	}
	visit("")
}

func splitWords(path string) []string {
	var words []string
	for path != "" && path != "." {
		words = append([]string{filepath.Base(path)}, words...)
		path = filepath.Dir(path)
	}
	return words
}
