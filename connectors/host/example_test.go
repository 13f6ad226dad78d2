package host_test

import (
	"context"
	"fmt"

	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/connectors/host"
)

// A gateway starts what the operator has named and asks it until it is closed.
func ExampleStart() {
	ctx := context.Background()
	connector, err := host.Start(ctx, host.Spec{
		Name: "freezes", Path: "/opt/connectors/acme-freeze",
		SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}, host.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer connector.Close(ctx)
	team, answer := "payments", &freezev1.GetFreezeResponse{}
	err = connector.Invoke(ctx, "acme.freeze.v1.FreezeService/GetFreeze", &freezev1.GetFreezeRequest{Team: &team}, answer)
	fmt.Println(answer.GetFrozen(), err)
	// Output: connector freezes: open /opt/connectors/acme-freeze: no such file or directory
}
