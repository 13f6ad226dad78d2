package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

// TestServeDrains starts the real program, stops it with SIGTERM in the middle of an activation, and looks
// at what it leaves behind.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	w, config := installWorld(t)
	program, _ := connectortest.Build(t, module+"/gateway/cmd/countersign")
	serve := exec.CommandContext(t.Context(), program, "serve", "--config", config)
	log, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	url := "http://" + servingAddress(t, lines)

	w.Slow(time.Second, world.ITSM)
	answered := make(chan world.Result, 1)
	go func() { answered <- w.Run(t.Context(), url, named(t, w, "own-change")) }()
	waitUntil(t, func() bool { return w.UnderWay(world.ITSM) > 0 })
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if r := <-answered; r.Answer() == nil || r.Answer().Outcome != "approved" {
		t.Errorf("the activation under way got %+v", r.Problems)
	}
	rest, _ := io.ReadAll(log)
	if err := serve.Wait(); err != nil {
		t.Errorf("serve ended with %v\n%s", err, rest)
	}
	verified := succeed(t, "journal", "verify", "--db", filepath.Join(filepath.Dir(config), "state", "journal.db"))
	if !strings.Contains(verified, "1 entry") || !strings.Contains(verified, "0 entries after the last checkpoint") {
		t.Errorf("journal: %s", verified)
	}
	if left := processesOf(t, filepath.Dir(config)); left > 0 {
		t.Errorf("%d plugin processes were left behind", left)
	}
}

// installWorld writes the demo's configuration with plugins of its own.
func installWorld(t *testing.T) (*world.World, string) {
	t.Helper()
	w, err := world.Start(t.Context(), world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	dir := t.TempDir()
	plugins := map[string]string{}
	for _, name := range world.Plugins() {
		built, _ := connectortest.Build(t, module+"/plugins/"+name)
		plugins[name] = filepath.Join(dir, name)
		if err := os.Link(built, plugins[name]); err != nil {
			t.Fatal(err)
		}
	}
	path, err := w.WriteConfig(dir, world.Install{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Plugins: plugins})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "listen:\n", "listen:\n  drain: 100ms\n", 1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return w, path
}

func servingAddress(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	var text strings.Builder
	for lines.Scan() {
		var line struct{ Msg, Callouts string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			return line.Callouts
		}
		text.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("it never served:\n%s", text.String())
	return ""
}

func named(t *testing.T, w *world.World, name string) world.Scenario {
	t.Helper()
	for _, s := range w.Scenarios() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no scenario %s", name)
	return world.Scenario{}
}

func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			t.Fatal("it never came to that")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// processesOf counts the processes whose program lies in a folder.
func processesOf(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		if text, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(text), dir) {
			n++
		}
	}
	return n
}
