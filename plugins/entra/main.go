// Command entra is the Microsoft Entra ID connector: who a principal of the directory is, and whether the
// account is in good standing. It only reads.
package main

import (
	"context"

	"github.com/countersign/countersign/connectors/serve"
	entrav1 "github.com/countersign/countersign/proto/countersign/plugins/entra/v1"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

func main() { serve.Main(connector()) }

func connector() serve.Connector[*entrav1.Config, *directory] {
	return serve.Connector[*entrav1.Config, *directory]{
		Name:     "entra",
		Version:  "1.0.0",
		Vendor:   "Countersign",
		Open:     func(_ context.Context, c *entrav1.Config) (*directory, error) { return newDirectory(c) },
		Validate: validate,
		Health:   health,
		Capabilities: []serve.Capability[*directory]{
			serve.Unary(principalv1.PrincipalService_GetPrincipal_FullMethodName, (*directory).GetPrincipal),
		},
	}
}
