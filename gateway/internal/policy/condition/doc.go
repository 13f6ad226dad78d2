// Package condition compiles and evaluates the CEL expressions of policies: conditions of rules,
// arguments of asks and placeholders of reasons, all type-checked against the capabilities that a
// policy asks. It is the home of cel-go.
//
// An expression has a value, is unknown, or is an error. It is unknown only if its value depends on a
// fact that is unknown or has not come yet (Kleene's logic, strict functions, an error on either side
// of an operator wins over an unknown on the other). It performs no I/O and never decides.
package condition
