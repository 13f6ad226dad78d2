package host_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/host"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

func TestAConnectorThatIsKnownNeedsNoProcessToBeDescribed(t *testing.T) {
	t.Parallel()
	first := start(t, freeze(t), options(t))
	raw, err := proto.Marshal(first.Description().Raw)
	if err != nil {
		t.Fatal(err)
	}
	spec := freeze(t)
	if spec.Description, err = host.ParseDescription(raw); err != nil {
		t.Fatal(err)
	}
	program := spec.Path
	spec.Path = filepath.Join(filepath.Dir(program), "known")
	_ = os.Remove(spec.Path)
	c := host.StartInBackground(spec, options(t))
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	eventually(t, "the failure", func() bool { return c.Status().State == host.Failed })
	_, err = ask(t, c, "payments")
	kind, source, isFault := finding.Of(err)
	if !isFault || kind != connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE || source != connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR {
		t.Errorf("%v is a %s of the %s", err, kind, source)
	}
	if c.Description() == nil || c.Status().Version != "1.0.0" {
		t.Errorf("status %+v, %v", c.Status(), c.Description())
	}
	link(t, program, spec.Path)
	eventually(t, "the start", func() bool { return c.Status().State == host.Ready })
	if _, err := ask(t, c, "payments"); err != nil || c.Status().Restarts != 0 {
		t.Errorf("%v, %+v", err, c.Status())
	}
}

func TestAConnectorOtherThanTheKnownOneIsNotUsed(t *testing.T) {
	t.Parallel()
	spec := hazard(t)
	spec.Description = start(t, freeze(t), options(t)).Description()
	c := host.StartInBackground(spec, options(t))
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	eventually(t, "the failure", func() bool { return c.Status().State == host.Failed })
	if got := c.Status().Problem; !strings.Contains(got.Error(), "describes itself otherwise") {
		t.Error(got)
	}
	if _, err := host.Start(t.Context(), spec, options(t)); err == nil || !strings.Contains(err.Error(), "describes itself otherwise") {
		t.Errorf("%v", err)
	}
}
