package connectortest_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/connectortest"
	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

const freezePkg = "github.com/countersign/countersign/connectors/connectortest/acme/freeze"

func TestState(t *testing.T) {
	t.Parallel()
	answer := &freezev1.GetFreezeResponse{
		Observation: &connectorv1.Observation{ObservedAt: timestamppb.Now(), UnknownFields: []string{"budget", "frozen"}},
		Frozen:      new(true), Owners: []string{"a"}, Reason: freezev1.FreezeReason_FREEZE_REASON_UNSPECIFIED.Enum(),
	}
	for field, want := range map[string]string{
		"owners": connectortest.Value, "reason": connectortest.Value, "until": connectortest.None,
		"budget": connectortest.Unknown, "frozen": connectortest.Unknown,
		"colour": "acme.freeze.v1.GetFreezeResponse has no field colour",
	} {
		if got := connectortest.State(answer, field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if got := connectortest.State(&freezev1.GetFreezeResponse{}, "until"); got != "acme.freeze.v1.GetFreezeResponse carries no observation" {
		t.Error(got)
	}
}

func TestProgramsLookedAtByHand(t *testing.T) {
	t.Parallel()
	path, digest := connectortest.Build(t, freezePkg)
	if again, _ := connectortest.Build(t, freezePkg); again != path || len(digest) != 64 {
		t.Errorf("built twice: %s, %s", path, again)
	}
	cases := map[string]struct {
		args []string
		want string
		fail bool
	}{
		"nothing":    {nil, "a gateway starts it", true},
		"version":    {[]string{"--version"}, "acme-freeze 1.0.0", false},
		"describe":   {[]string{"--describe"}, `"configType": "acme.freeze.v1.Config"`, false},
		"an unknown": {[]string{"--help"}, "a gateway starts it", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), path, c.args...).CombinedOutput()
			if !strings.Contains(string(out), c.want) || (err != nil) != c.fail {
				t.Errorf("%v: %.500s", err, out)
			}
		})
	}
}

func TestProgramEndsWithItsStandardInput(t *testing.T) {
	t.Parallel()
	path, _ := connectortest.Build(t, freezePkg)
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Env = []string{"COUNTERSIGN_CONNECTOR=started-by-a-countersign-gateway", "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + t.TempDir()}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := stdout.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "1|1|unix|") {
		t.Fatalf("handshake %q, %v", line[:n], err)
	}
	_ = stdin.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("goes on without its gateway")
	}
}
