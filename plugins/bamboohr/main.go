// Command bamboohr is the BambooHR connector: how somebody is employed, and whether somebody is on leave.
// It only reads.
package main

import (
	"context"
	_ "time/tzdata" // Containers often have no time zones of their own.

	"github.com/countersign/countersign/connectors/serve"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

func main() { serve.Main(connector()) }

func connector() serve.Connector[*bamboohrv1.Config, *company] {
	return serve.Connector[*bamboohrv1.Config, *company]{
		Name:     "bamboohr",
		Version:  "1.0.0",
		Vendor:   "Countersign",
		Open:     open,
		Validate: validate,
		Health:   health,
		Capabilities: []serve.Capability[*company]{
			serve.Unary(employmentv1.EmploymentService_GetEmployment_FullMethodName, (*company).GetEmployment),
		},
	}
}

// open begins to read the directory, so that the first question need not wait for it.
func open(ctx context.Context, c *bamboohrv1.Config) (*company, error) {
	opened, err := newCompany(c)
	if err != nil {
		return nil, err
	}
	opened.directory.warm(ctx, opened.now())
	return opened, nil
}
