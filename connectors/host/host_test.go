package host_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/connectortest"
	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/connectors/host"
)

const (
	getFreeze = "acme.freeze.v1.FreezeService/GetFreeze"
	freezePkg = "github.com/countersign/countersign/connectors/connectortest/acme/freeze"
	hazardPkg = "github.com/countersign/countersign/connectors/host/testdata/hazard"
)

// configured builds the configuration of the test programs for a region.
func configured(region string) func(*host.Description) ([]byte, error) {
	return func(*host.Description) ([]byte, error) { return proto.Marshal(&freezev1.Config{Region: region}) }
}

// patient limits suit a machine that runs other tests as well.
func patient() host.Limits { return host.Limits{StartTimeout: 20 * time.Second} }

func hazard(t *testing.T, args ...string) host.Spec {
	t.Helper()
	path, digest := connectortest.Build(t, hazardPkg)
	return host.Spec{Name: "hazard", Path: path, SHA256: digest, Args: args, Configure: configured("emea"), Limits: patient()}
}

func freeze(t *testing.T) host.Spec {
	t.Helper()
	path, digest := connectortest.Build(t, freezePkg)
	return host.Spec{Name: "freeze", Path: path, SHA256: digest, Configure: configured("emea"), Limits: patient()}
}

// options have a socket directory of the test's own, which must be empty in the end, and no pauses.
func options(t *testing.T) host.Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "sockets") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
			t.Errorf("left behind: %s", left)
		}
		_ = os.RemoveAll(dir)
	})
	return host.Options{SocketDir: dir, Jitter: func(time.Duration) time.Duration { return time.Millisecond }}
}

func start(t *testing.T, spec host.Spec, o host.Options) *host.Connector {
	t.Helper()
	c, err := host.Start(t.Context(), spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

func ask(t *testing.T, c *host.Connector, team string) (*freezev1.GetFreezeResponse, error) {
	t.Helper()
	answer := &freezev1.GetFreezeResponse{}
	return answer, c.Invoke(t.Context(), getFreeze, &freezev1.GetFreezeRequest{Team: &team}, answer)
}

// eventually polls for what another process is about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen in 10 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestStartAskClose(t *testing.T) {
	t.Parallel()
	c := start(t, freeze(t), options(t))
	if got := c.Status(); got.State != host.Ready || got.PID == 0 || got.Version != "1.0.0" || got.Problem != nil {
		t.Errorf("status %+v", got)
	}
	answer, err := ask(t, c, "payments")
	if err != nil {
		t.Fatal(err)
	}
	if answer.Frozen == nil || answer.GetFrozen() || connectortest.State(answer, "budget") != connectortest.Unknown {
		t.Errorf("answer %v", answer)
	}
	if _, err := c.CheckHealth(t.Context()); err != nil {
		t.Errorf("health: %v", err)
	}
	pid := c.Status().PID
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := c.Status(); got.State != host.Stopped || running(pid) {
		t.Errorf("status %+v, running %v", got, running(pid))
	}
	if _, err := ask(t, c, "payments"); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("a closed connector answers: %v", err)
	}
}

// running reports whether a process exists and is no zombie.
func running(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func question(team string) *freezev1.GetFreezeRequest { return &freezev1.GetFreezeRequest{Team: &team} }

func answer() *freezev1.GetFreezeResponse { return &freezev1.GetFreezeResponse{} }
