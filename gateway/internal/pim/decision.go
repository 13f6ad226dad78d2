package pim

import "time"

// Outcome is what the gateway answers, as PIM defines it.
type Outcome string

// The outcomes.
const (
	// Denied blocks the activation.
	Denied Outcome = "denied"
	// Approved goes on with PIM's normal workflow, which grants at once if the role has no approver.
	Approved Outcome = "approved"
	// AutoApproved skips human approval.
	AutoApproved Outcome = "auto_approved"
)

// Mode says whether a policy counts.
type Mode string

// The modes of a policy.
const (
	Enforce Mode = "enforce"
	Shadow  Mode = "shadow"
)

// RuleKind is what a rule demands.
type RuleKind string

// The kinds of rules.
const (
	Require     RuleKind = "require"
	AutoApprove RuleKind = "auto_approve"
	Hold        RuleKind = "hold"
)

// Truth is the value of a rule.
type Truth string

// The values of a rule. Failed means that its expression is an error, such as the selection of a fact
// that is none; it counts as the restrictive answer.
const (
	True    Truth = "true"
	False   Truth = "false"
	Unsure  Truth = "unknown"
	Failed  Truth = "error"
	Pending Truth = "pending" // a fact it depends on has not come yet
)

// RuleResult is what one rule came to.
type RuleResult struct {
	Policy string   `json:"policy"`
	Mode   Mode     `json:"mode"`
	Rule   string   `json:"rule"`
	Kind   RuleKind `json:"kind"`
	Truth  Truth    `json:"truth"`
	// Used are the facts that the rule's expression names, as "ask.fact".
	Used []string `json:"used,omitempty"`
	// Stale is set if one of them is stale.
	Stale bool `json:"stale,omitempty"`
	// Error is why the expression has no value, for the policy's author.
	Error string `json:"error,omitempty"`
	// Missing says, where Truth is unknown, which asks it is missing and why.
	Missing []string `json:"missing,omitempty"`
	// Decisive is set if the returned outcome rests on this rule.
	Decisive bool `json:"decisive,omitempty"`
}

// Decision is the outcome of an evaluation with its reasons.
type Decision struct {
	// Recommended is what the gateway would answer if every policy that applies were enforced.
	Recommended Outcome `json:"recommended"`
	// Returned is what it answers.
	Returned Outcome `json:"returned"`
	// Reasons are for the requester: plain text, at most 3 of at most 200 characters.
	Reasons []string `json:"reasons"`
	// Cause names what decided in place of a policy, such as "journal_unavailable"; empty otherwise.
	Cause string `json:"cause,omitempty"`
	// Policies are the names of those that apply, in the order of the documents.
	Policies []string     `json:"policies,omitempty"`
	Rules    []RuleResult `json:"rules,omitempty"`
	// PolicyRevision identifies the policies in force.
	PolicyRevision string `json:"policy_revision,omitempty"`
}

// Evaluation is the whole story of one activation; the journal keeps it.
type Evaluation struct {
	ID         string    `json:"evaluation_id"`
	ReceivedAt time.Time `json:"received_at"`
	DecidedAt  time.Time `json:"decided_at"`
	Caller     Caller    `json:"caller"`
	// RequestKey is what repeats of the same request share.
	RequestKey string     `json:"request_key"`
	Activation Activation `json:"activation"`
	Findings   []Finding  `json:"findings,omitempty"`
	Decision   Decision   `json:"decision"`
	// Budget says what each part of the time was given and used.
	Budget []Span `json:"budget,omitempty"`
	// Conflict is set if an earlier callout with the same key had a different body.
	Conflict bool `json:"conflict,omitempty"`
}

// Span is one part of an evaluation's time.
type Span struct {
	Part  string        `json:"part"`
	Given time.Duration `json:"given"`
	Used  time.Duration `json:"used"`
}
