// Package target says which activations a policy covers: by role and scope, or by group and access.
// Its index finds the policies of an activation in a time that does not grow with their number. It
// performs no I/O and evaluates no conditions.
package target
