package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/fleet"
)

func TestHealthTellsNotCheckedFromNotAnswered(t *testing.T) {
	t.Parallel()
	f := start(t, spec(t))
	want := fleet.Health{State: fleet.UpstreamNotChecked, Message: "this connector has no health check"}
	if diff := cmp.Diff(want, f.Health(t.Context(), "freezes")); diff != "" {
		t.Error(diff)
	}
	for name, connector := range map[string]string{"closed": "freezes", "not there": "none"} {
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.Health(t.Context(), connector); got.State != fleet.UpstreamUnknown || got.Message == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
