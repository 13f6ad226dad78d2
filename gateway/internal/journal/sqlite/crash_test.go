//go:build unix

package sqlite_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

// child is the test binary as a child process.
func child(t *testing.T, mode, dir, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, dir, name)
	cmd.Env = append(os.Environ(), childVariable+"="+mode)
	cmd.Stderr = os.Stderr
	return cmd
}

// said collects the ids of records by what the child said of them.
type said map[string][]string

func (s said) read(t *testing.T, out io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word == "fatal" {
			t.Errorf("child: %s", rest)
		}
		id, _, _ := strings.Cut(rest, " ")
		s[word] = append(s[word], id)
	}
}

// checkRecords looks for every acknowledged record, and verifies the journal.
func checkRecords(t *testing.T, dir string, acknowledged []string) {
	t.Helper()
	store := open(t, childSettings(dir))
	for _, id := range acknowledged {
		if e, err := store.Find(t.Context(), id); err != nil || !e.Intact {
			t.Errorf("acknowledged record %s: %v", id, err)
		}
	}
	mustClose(t, store)
	settings := childSettings(dir)
	anchors := journal.SplitCheckpoints(read(t, settings.CheckpointFile))
	report, err := sqlite.Verify(t.Context(), settings.Path, read(t, settings.KeyFile+".pub"), journal.VerifyOptions{Anchors: anchors})
	if err != nil || report.FirstBad != nil {
		t.Errorf("Verify: %v, %v", report.FirstBad, err)
	}
	if report.Entries < int64(len(acknowledged)) || report.UnanchoredTail != 0 {
		t.Errorf("report is %+v, and %d were acknowledged", report, len(acknowledged))
	}
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kills := 10
	if testing.Short() {
		kills = 2
	}
	var acknowledged []string
	for kill := range kills {
		acknowledged = append(acknowledged, appendAndKill(t, dir, fmt.Sprintf("kill%d", kill))...)
		checkRecords(t, dir, acknowledged)
	}
	if len(acknowledged) < 10*kills {
		t.Errorf("only %d records were acknowledged: the test shows nothing", len(acknowledged))
	}
}

func appendAndKill(t *testing.T, dir, name string) []string {
	t.Helper()
	cmd := child(t, "append", dir, name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	delay := time.Duration(50+rand.IntN(150)) * time.Millisecond
	timer := time.AfterFunc(delay, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	words := said{}
	words.read(t, lines)
	if err := cmd.Wait(); err == nil {
		t.Error("child ended by itself")
	}
	return words["written"]
}

// TestDiskErrorsAreNeverSuccess has the kernel refuse to sync or to write for a while, and expects the
// journal to go on by itself when it no longer does.
func TestDiskErrorsAreNeverSuccess(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]string{
		"EIO from sync":     "fsync,fdatasync:error=EIO",
		"ENOSPC from write": "pwrite64:error=ENOSPC",
		"EIO from write":    "pwrite64:error=EIO",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracer := connectortest.Needs(t, "strace", "strace")
			dir := t.TempDir()
			c := startChild(t, "asked", dir)
			c.await("written", 10)
			strace := exec.CommandContext(t.Context(), tracer, "-f", "-qq", "-o", os.DevNull, "-p", strconv.Itoa(c.cmd.Process.Pid),
				"-e", "trace="+inject[:strings.IndexByte(inject, ':')], "-e", "inject="+inject)
			if err := strace.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- strace.Wait() }()
			if !c.awaitUnless("error", 5, ended) {
				connectortest.Without(t, "strace may not trace; allow ptrace")
			}
			if err := strace.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			<-ended
			c.await("written", 20)
			checkRecords(t, dir, c.finish())
		})
	}
}

// running is a child whose lines are counted while it runs.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string
	words said
}

func startChild(t *testing.T, mode, dir string) *running {
	t.Helper()
	c := &running{t: t, cmd: child(t, mode, dir, "record"), lines: make(chan string), words: said{}}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	go func() {
		defer close(c.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			c.lines <- scanner.Text()
		}
	}()
	return c
}

// await reads until the child has said a word so many times more.
func (c *running) await(word string, times int) {
	c.t.Helper()
	c.awaitUnless(word, times, nil)
}

func (c *running) awaitUnless(word string, times int, ended <-chan error) bool {
	c.t.Helper()
	limit := time.After(time.Minute)
	for want := len(c.words[word]) + times; len(c.words[word]) < want; {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatal("child ended")
			}
			c.words.read(c.t, strings.NewReader(line))
		case <-ended:
			return false
		case <-limit:
			c.t.Fatalf("child did not say %q %d times", word, times)
		}
	}
	return true
}

// finish has the child close the journal, and returns what it said was written.
func (c *running) finish() []string {
	c.t.Helper()
	if err := c.stdin.Close(); err != nil {
		c.t.Fatal(err)
	}
	for line := range c.lines {
		c.words.read(c.t, strings.NewReader(line))
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("child: %v", err)
	}
	return c.words["written"]
}

func runToEnd(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	words := said{}
	words.read(t, out)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("child: %v", err)
	}
	return words
}

// TestFullDiskIsNeverSuccess limits the size of files instead of filling a disk.
func TestFullDiskIsNeverSuccess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	words := runToEnd(t, child(t, "full", dir, "record"))
	if len(words["error"]) == 0 || len(words["again"]) == 0 {
		t.Fatalf("the child says %v", words)
	}
	checkRecords(t, dir, words["written"])
}

// fillDisk appends until the limit is reached, lifts it, and appends again.
func fillDisk(dir, name string) {
	store := openInChild(dir)
	limitFiles(256 << 10)
	i, failed := 0, error(nil)
	for ; failed == nil; i++ {
		failed = report(store, fmt.Sprintf("%s-%d", name, i))
	}
	if !errors.Is(failed, journal.ErrUnavailable) {
		say("fatal not ErrUnavailable: %v", failed)
	}
	began := time.Now()
	for range 20 {
		if err := store.Check(ctx()); err == nil {
			say("fatal Check succeeds on a full disk")
		}
	}
	if took := time.Since(began); took > time.Second {
		say("fatal Check took %s", took)
	}
	limitFiles(math.MaxUint64)
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); i++ {
		if report(store, fmt.Sprintf("%s-%d", name, i)) == nil {
			say("again")
			break
		}
		wait(20 * time.Millisecond)
	}
	if err := store.Close(); err != nil {
		say("fatal %v", err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := child(t, "hold", dir, "")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	_, err = sqlite.Open(t.Context(), childSettings(dir))
	if want := fmt.Sprintf("process %d ", cmd.Process.Pid); !errors.Is(err, journal.ErrLocked) || !strings.Contains(err.Error(), want) {
		t.Errorf("Open: %v, want ErrLocked and %q", err, want)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	mustClose(t, open(t, childSettings(dir)))
}

// TestReplacedFileIsNoticed puts a copy in the journal's place while it is open: what is written to
// the open file would be lost.
func TestReplacedFileIsNoticed(t *testing.T) {
	t.Parallel()
	settings := childSettings(t.TempDir())
	store := open(t, settings)
	mustAppend(t, store, 1)
	text := read(t, settings.Path)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(settings.Path+suffix, filepath.Join(t.TempDir(), "away")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(settings.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()); !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("Check: %v, want ErrUnavailable", err)
	}
}
