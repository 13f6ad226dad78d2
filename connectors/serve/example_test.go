package serve_test

import (
	"context"
	"fmt"

	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/serve"
)

// region is an instance: what is built from a configuration.
type region struct{ name string }

// GetFreeze answers the one capability. Only what is known is set; a field that is neither set nor
// declared none is unknown to the gateway.
func (r region) GetFreeze(ctx context.Context, _ *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
	frozen := r.name == "emea"
	if !frozen {
		finding.None(ctx, "until", "reason")
	}
	return &freezev1.GetFreezeResponse{Frozen: &frozen}, nil
}

// A connector with one capability. Its main is serve.Main(connector); the example looks at it the way
// --describe does.
func Example() {
	connector := serve.Connector[*freezev1.Config, region]{
		Name: "acme-freeze", Version: "1.0.0", Vendor: "Acme",
		Open: func(_ context.Context, config *freezev1.Config) (region, error) {
			return region{config.GetRegion()}, nil
		},
		Capabilities: []serve.Capability[region]{
			serve.Unary(freezev1.FreezeService_GetFreeze_FullMethodName, region.GetFreeze),
		},
	}
	server, err := serve.NewServer(connector, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	fmt.Println(server.Description.GetCapabilities(), server.Description.GetConfigType())
	// Output: [acme.freeze.v1.FreezeService/GetFreeze] acme.freeze.v1.Config
}
