// Package serve turns Go functions into a connector: a program that a Countersign gateway starts, asks
// and stops. A connector reports facts; it never says "allow".
//
// A vendor writes a configuration message, a function that opens an instance from it, one method for
// each capability, and a main of one statement:
//
//	func main() {
//		serve.Main(serve.Connector[*snowv1.Config, *snow]{
//			Name: "servicenow", Version: "1.2.0", Vendor: "Acme",
//			Open: open,
//			Capabilities: []serve.Capability[*snow]{
//				serve.Unary(ticketv1.TicketService_GetTicket_FullMethodName, (*snow).GetTicket),
//			},
//		})
//	}
//
// The rest is this package's duty:
//
//   - It describes the connector from its generated descriptors, checks the required settings of a
//     configuration and swaps instances atomically.
//   - It answers FAILED_PRECONDITION before the first configuration, INVALID_ARGUMENT if a required
//     argument is missing, and gives every call a deadline: the gateway's, or 30 seconds.
//   - It completes each answer by the rule of package finding: a field that is neither set nor declared
//     none is unknown.
//   - It turns a panic of a capability into INTERNAL and keeps serving. It cannot do so for goroutines
//     that a capability starts by itself.
//   - It logs JSON to the real standard error. slog and log write there too; standard output belongs to
//     the gateway.
//   - It ends when the gateway ends: the gateway holds the other end of standard input.
//
// An error that a capability returns reaches the gateway as it is if it comes from package finding or is
// a gRPC status. Any other error is logged here and reaches the gateway without its text, since nobody
// can know what is in it.
//
// A connector can be looked at without a gateway: with --describe it prints its description as JSON,
// with --version its version.
package serve
