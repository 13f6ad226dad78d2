// Command servicenow is the ServiceNow connector: what a ticket says. It only reads, and the number of a
// ticket that matches a fixed pattern is all of a user's text that it ever sends.
package main

import (
	"context"

	"github.com/countersign/countersign/connectors/serve"
	servicenowv1 "github.com/countersign/countersign/proto/countersign/plugins/servicenow/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

func main() { serve.Main(connector()) }

func connector() serve.Connector[*servicenowv1.Config, *instance] {
	return serve.Connector[*servicenowv1.Config, *instance]{
		Name:     "servicenow",
		Version:  "1.0.0",
		Vendor:   "Countersign",
		Open:     func(_ context.Context, c *servicenowv1.Config) (*instance, error) { return newInstance(c) },
		Validate: validate,
		Health:   health,
		Capabilities: []serve.Capability[*instance]{
			serve.Unary(ticketv1.TicketService_GetTicket_FullMethodName, (*instance).GetTicket),
		},
	}
}
