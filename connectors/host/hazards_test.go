package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/host"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// journal is a log that tests read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Split(j.b.String(), "\n")
}

func (j *journal) count(part string) int {
	n := 0
	for _, line := range j.lines() {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func logged(o host.Options) (host.Options, *journal) {
	j := &journal{}
	o.Logger = slog.New(slog.NewJSONHandler(j, nil))
	return o, j
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tiny") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func readPID(t *testing.T, r io.Reader) int {
	t.Helper()
	line := make([]byte, 32)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestACrashIsRepaired(t *testing.T) {
	t.Parallel()
	c := start(t, hazard(t), options(t))
	before := c.Status().PID
	if _, err := ask(t, c, "crash:"+filepath.Join(t.TempDir(), "crashed")); err != nil {
		t.Errorf("the call was not sent again: %v", err)
	}
	got := c.Status()
	if got.State != host.Ready || got.Restarts != 1 || got.PID == before {
		t.Errorf("status %+v", got)
	}
	if got.LastExit == nil || got.LastExit.Reason != "exit status 7" || !strings.Contains(strings.Join(got.LastExit.Lines, "\n"), "crashing as asked") {
		t.Errorf("last exit %+v", got.LastExit)
	}
	if _, err := ask(t, c, "fine"); err != nil {
		t.Error(err)
	}
}

func TestACallIsNotSentAThirdTime(t *testing.T) {
	t.Parallel()
	c := start(t, hazard(t), options(t))
	_, err := ask(t, c, "crash")
	kind, source, isFault := finding.Of(err)
	if !isFault || kind != connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE || source != connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR {
		t.Errorf("%v is a %s of the %s", err, kind, source)
	}
	eventually(t, "the second restart", func() bool { return c.Status().Restarts == 2 })
}

func TestACallThatMayHaveEffectsIsNotSentAgain(t *testing.T) {
	t.Parallel()
	c := start(t, hazard(t, "effects"), options(t))
	_, err := ask(t, c, "crash:"+filepath.Join(t.TempDir(), "crashed"))
	if _, source, isFault := finding.Of(err); !isFault || source != connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR {
		t.Errorf("%v", err)
	}
}

func TestCrashesAreNotRepairedForEver(t *testing.T) {
	t.Parallel()
	o, log := logged(options(t))
	again := make(chan struct{})
	o.Jitter = func(longest time.Duration) time.Duration {
		if longest < 5*time.Minute {
			return time.Millisecond
		}
		select {
		case <-again:
		case <-t.Context().Done():
		}
		return 0
	}
	c := start(t, hazard(t), o)
	eventually(t, "giving up", func() bool {
		_, _ = ask(t, c, "crash")
		return c.Status().State == host.Failed
	})
	got := c.Status()
	if got.Restarts != 4 || time.Until(got.Next) < 4*time.Minute || got.Problem == nil {
		t.Errorf("status %+v", got)
	}
	if log.count(`"connector failed"`) != 1 || log.count(`"remedy"`) != 1 {
		t.Errorf("log %s", log.lines())
	}
	begun := time.Now()
	if _, err := ask(t, c, "fine"); err == nil || time.Since(begun) > time.Second {
		t.Errorf("a failed connector: %v after %s", err, time.Since(begun))
	}
	close(again)
	eventually(t, "another start after the long pause", func() bool { return c.Status().State == host.Ready })
	if _, err := ask(t, c, "fine"); err != nil {
		t.Error(err)
	}
}

func TestPausesGrowUntilTheConnectorIsHealthy(t *testing.T) {
	t.Parallel()
	o := options(t)
	var offset atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	pauses := make(chan time.Duration, 10)
	o.Jitter = func(longest time.Duration) time.Duration {
		pauses <- longest
		return time.Millisecond
	}
	c := start(t, hazard(t), o)
	for i, want := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 200 * time.Millisecond} {
		if i == 2 {
			offset.Add(int64(time.Minute))
		}
		if _, err := ask(t, c, "crash:"+filepath.Join(t.TempDir(), "crashed")); err != nil {
			t.Fatal(err)
		}
		if got := <-pauses; got != want {
			t.Errorf("pause %d is up to %s, want %s", i+1, got, want)
		}
	}
	offset.Add(int64(10 * time.Minute)) // the crashes before no longer count
	for range 2 {
		if _, err := ask(t, c, "crash:"+filepath.Join(t.TempDir(), "crashed")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPausesHaveALimit(t *testing.T) {
	t.Parallel()
	spec, o := freeze(t), options(t)
	spec.Path = "/no/such/program"
	var longest atomic.Int64
	var count atomic.Int32
	o.Jitter = func(l time.Duration) time.Duration {
		longest.Store(int64(l))
		count.Add(1)
		return time.Microsecond
	}
	c := host.StartInBackground(spec, o)
	eventually(t, "many attempts", func() bool { return count.Load() > 20 })
	_ = c.Close(t.Context())
	if got := time.Duration(longest.Load()); got != 30*time.Second {
		t.Errorf("longest pause %s", got)
	}
}

func TestAConnectorThatChangesItsMindIsNotUsed(t *testing.T) {
	t.Parallel()
	c := start(t, hazard(t, "moody"), options(t))
	_, _ = ask(t, c, "crash")
	eventually(t, "giving up", func() bool { return c.Status().State == host.Failed })
	if got := c.Status().Problem; !strings.Contains(got.Error(), "otherwise than at its first start") {
		t.Error(got)
	}
}

func TestAStoppedProcessIsReplaced(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.ProbeEvery, o.ProbeTimeout = 100*time.Millisecond, 500*time.Millisecond
	c := start(t, hazard(t), o)
	pid := c.Status().PID
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	stop := "stop"
	_ = c.Invoke(ctx, getFreeze, question(stop), answer())
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "replacement", func() bool { s := c.Status(); return s.State == host.Ready && s.PID != pid })
	if got := c.Status().LastExit.Reason; !strings.Contains(got, "health probes") {
		t.Errorf("reason %q", got)
	}
	if running(pid) {
		t.Error("the stopped process is still there")
	}
}

func TestCloseOfAStoppedProcessIsBounded(t *testing.T) {
	t.Parallel()
	spec := hazard(t)
	spec.Limits.StopTimeout = time.Second
	c := start(t, spec, options(t))
	pid := c.Status().PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second || running(pid) {
		t.Errorf("took %s, running %v", took, running(pid))
	}
}

func TestCloseOfAStubbornProcessIsBounded(t *testing.T) {
	t.Parallel()
	spec := hazard(t, "stubborn")
	spec.Limits.StopTimeout = time.Second
	c := start(t, spec, options(t))
	pid := c.Status().PID
	begun := time.Now()
	_ = c.Close(t.Context())
	if took := time.Since(begun); took > 5*time.Second || running(pid) {
		t.Errorf("took %s, running %v", took, running(pid))
	}
}

func TestNoLogLineHarmsTheGateway(t *testing.T) {
	t.Parallel()
	o, log := logged(options(t))
	c := start(t, hazard(t), o)
	if _, err := ask(t, c, "logs"); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, c, "fine"); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	_ = c.Close(t.Context())
	if log.count(`"dropped_lines"`) == 0 {
		t.Error("20000 lines and none dropped")
	}
	if n := log.count(`"connector log"`); n < 10 || n > 10000 {
		t.Errorf("%d lines logged", n)
	}
	for _, line := range log.lines() {
		checkRecord(t, line)
	}
}

func TestWhatIsPrintedIsLogged(t *testing.T) {
	t.Parallel()
	o, log := logged(options(t))
	c := start(t, hazard(t), o)
	if _, err := ask(t, c, "print"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record", func() bool { return log.count("printed by a library") == 1 })
}

func checkRecord(t *testing.T, line string) {
	t.Helper()
	var record struct {
		Level     string
		Connector string
		Log       struct{ Text, Connector string }
	}
	if line == "" {
		return
	}
	if err := json.Unmarshal([]byte(line), &record); err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		t.Errorf("%.200s: %v", line, err)
	}
	if record.Connector != "hazard" || len(line) > 64<<10 {
		t.Errorf("%.200s", line)
	}
	switch record.Log.Text {
	case "careful":
		if record.Level != "WARN" || record.Log.Connector != "forged" {
			t.Errorf("%s", line)
		}
	case "hclog":
		if record.Level != "ERROR" {
			t.Errorf("%s", line)
		}
	}
}

func TestAnAnswerOfAnySizeIsSurvived(t *testing.T) {
	t.Parallel()
	c := start(t, hazard(t), options(t))
	_, err := ask(t, c, "big")
	kind, source, _ := finding.Of(err)
	if kind != connectorv1.FaultKind_FAULT_KIND_MALFORMED || source != connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR {
		t.Errorf("%v is a %s of the %s", err, kind, source)
	}
	if _, err := ask(t, c, "fine"); err != nil || c.Status().Restarts != 0 {
		t.Errorf("afterwards: %v, %+v", err, c.Status())
	}
}

func TestAGrandchildDoesNotHideADeath(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"", "setsid"} {
		t.Run("fork "+how, func(t *testing.T) {
			t.Parallel()
			c := start(t, hazard(t), options(t))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			begun := time.Now()
			_ = c.Invoke(ctx, getFreeze, question("fork:"+how), answer())
			eventually(t, "the restart", func() bool { return c.Status().Restarts > 0 })
			if took := time.Since(begun); took > 8*time.Second {
				t.Errorf("noticed after %s", took)
			}
			child := lastChild(t, c.Status().LastExit.Lines)
			if how == "setsid" { // out of the group and out of reach; the test cleans up
				_ = syscall.Kill(child, syscall.SIGKILL)
				return
			}
			eventually(t, "the grandchild's death", func() bool { return !running(child) })
		})
	}
}

func lastChild(t *testing.T, lines []string) int {
	t.Helper()
	for _, line := range lines {
		if number, ok := strings.CutPrefix(line, "child "); ok {
			pid, err := strconv.Atoi(number)
			if err == nil {
				return pid
			}
		}
	}
	t.Fatalf("no child in %q", lines)
	return 0
}

func TestAHungCallEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	spec := hazard(t)
	spec.Limits.CallTimeout = 300 * time.Millisecond
	c := start(t, spec, options(t))
	_, err := ask(t, c, "hang")
	if kind, _, _ := finding.Of(err); kind != connectorv1.FaultKind_FAULT_KIND_TIMEOUT {
		t.Error(err)
	}
}

func TestOnlyDescribedCapabilitiesAreAsked(t *testing.T) {
	t.Parallel()
	c := start(t, freeze(t), options(t))
	err := c.Invoke(t.Context(), "countersign.connector.v1.ConnectorService/Configure", &connectorv1.ConfigureRequest{}, &connectorv1.ConfigureResponse{})
	if status.Code(err).String() != "Unimplemented" {
		t.Error(err)
	}
}

func TestCloseLetsCallsFinish(t *testing.T) {
	t.Parallel()
	c := start(t, hazard(t), options(t))
	finished := make(chan error, 1)
	go func() {
		finished <- c.Invoke(context.WithoutCancel(t.Context()), getFreeze, question("slow"), answer())
	}()
	time.Sleep(50 * time.Millisecond) // the call is on its way; there is nothing to see of that
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-finished; err != nil {
		t.Errorf("cut off: %v", err)
	}
}

func TestCloseCutsOffWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	spec := hazard(t)
	spec.Limits.DrainTimeout, spec.Limits.StopTimeout = 200*time.Millisecond, 400*time.Millisecond
	c := start(t, spec, options(t))
	finished := make(chan error, 1)
	go func() {
		finished <- c.Invoke(context.WithoutCancel(t.Context()), getFreeze, question("hang"), answer())
	}()
	time.Sleep(100 * time.Millisecond)
	if err := c.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "1 calls were cut off") {
		t.Errorf("%v", err)
	}
	if _, source, isFault := finding.Of(<-finished); !isFault || source != connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR {
		t.Errorf("source %s", source)
	}
}

func TestABackgroundStartSucceedsOnceTheProgramIsThere(t *testing.T) {
	t.Parallel()
	spec := freeze(t)
	program := spec.Path
	spec.Path = filepath.Join(filepath.Dir(program), "late")
	_ = os.Remove(spec.Path)
	c := host.StartInBackground(spec, options(t))
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	eventually(t, "the failure", func() bool { return c.Status().State == host.Failed })
	if got := c.Status(); got.Problem == nil || c.Description() != nil {
		t.Errorf("status %+v", got)
	}
	link(t, program, spec.Path)
	eventually(t, "the start", func() bool { return c.Status().State == host.Ready })
	if _, err := ask(t, c, "payments"); err != nil || c.Description() == nil || c.Status().Restarts != 0 {
		t.Errorf("%v, %+v", err, c.Status())
	}
}

func TestABackgroundStartCanBeClosed(t *testing.T) {
	t.Parallel()
	c := host.StartInBackground(hazard(t, "silent"), options(t))
	begun := time.Now()
	_ = c.Close(t.Context())
	if took := time.Since(begun); took > 10*time.Second || c.Status().State != host.Stopped {
		t.Errorf("took %s, %+v", took, c.Status())
	}
}
