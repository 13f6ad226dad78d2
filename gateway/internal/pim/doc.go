// Package pim holds the nouns of the gateway: what PIM asks for (Activation), what is asked of
// connectors and what came back (Capability, Ask, Finding, Fact), what was decided (Decision) and the
// whole story (Evaluation). Every other room speaks in these words.
//
// It imports the standard library only, performs no I/O and decides nothing.
package pim
