// Package reason turns what a policy says into what a requester reads: templates with placeholders,
// and plain text of bounded length. It performs no I/O.
package reason
