package pim

import (
	"encoding/json"
	"time"
)

// Found is the name of the fact that every finding has: whether the upstream knows what was asked for.
const Found = "found"

// Ask is one question put to a connector. Two policies that ask the same share one.
type Ask struct {
	Connector string `json:"connector"`
	// Capability is the full gRPC method name.
	Capability string `json:"capability"`
	// Arguments by field name. A nil value is an argument that could not be learnt; such an ask is
	// never put.
	Arguments map[string]any `json:"arguments,omitempty"`
	// MaxAge is how old an answer may be; zero means that it must be asked for now.
	MaxAge time.Duration `json:"max_age,omitzero"`
	// Timeout bounds this ask; zero means whatever the budget leaves.
	Timeout time.Duration `json:"timeout,omitzero"`
}

// AskKey identifies an ask among those of one evaluation.
type AskKey string

// Key is the same for two asks that may share one answer.
func (a Ask) Key() AskKey {
	// encoding/json sorts the members of a map, which makes the text canonical. Arguments hold values
	// of the kinds of Kind only, so that marshalling cannot fail.
	text, err := json.Marshal(a)
	if err != nil {
		panic("pim: ask with an argument of no known kind: " + err.Error())
	}
	return AskKey(text)
}

// Fault says why a finding has no facts. That nothing was found is no fault.
type Fault string

// The faults.
const (
	NoFault     Fault = ""
	Unavailable Fault = "unavailable"
	Timeout     Fault = "timeout"
	Refused     Fault = "denied" // the upstream refused our credentials or rights
	Malformed   Fault = "malformed"
	Ambiguous   Fault = "ambiguous"
	BreakerOpen Fault = "breaker_open"
	Busy        Fault = "busy"
)

// FaultSource says whose fault a fault is. Breakers open on the upstream's and the connector's.
type FaultSource string

// The sources of faults.
const (
	FromUpstream  FaultSource = "upstream"
	FromConnector FaultSource = "connector"
	FromQuestion  FaultSource = "question" // its arguments make no sense, or could not be learnt
	FromGateway   FaultSource = "gateway"  // it was never put: no time, no place, breaker open
)

// State tells a fact's value from its absence and from ignorance.
type State string

// The states of a fact. Anything else, the empty state included, counts as Unknown.
const (
	Known   State = "known"
	None    State = "none"
	Unknown State = "unknown"
)

// Fact is one typed value, or the knowledge that there is none, or ignorance.
type Fact struct {
	State State `json:"state"`
	// Value has the Go type of its Kind; nil unless the fact is Known.
	Value any `json:"value,omitempty"`
	// Secret is set if nobody may see the value: policies may use it, but it is never written.
	Secret bool `json:"secret,omitempty"`
}

// MarshalJSON leaves the value of a secret fact out, so that no journal, log or page can show it.
func (f Fact) MarshalJSON() ([]byte, error) {
	type plain Fact // without this method
	if f.Secret {
		f.Value = nil
	}
	return json.Marshal(plain(f))
}

// Finding is what came back for one ask: facts, or a fault.
type Finding struct {
	Ask Ask `json:"ask"`
	// Found is false if the upstream knows nothing by these arguments; every fact is then none.
	Found bool `json:"found"`
	// Facts by name, without "found". A fact that is missing here is unknown.
	Facts map[string]Fact `json:"facts,omitempty"`

	Fault       Fault       `json:"fault,omitempty"`
	FaultSource FaultSource `json:"fault_source,omitempty"`
	// Detail says to an operator what happened; it holds neither secrets nor upstream bodies.
	Detail string `json:"detail,omitempty"`

	// ObservedAt is when the upstream said so; zero for a fault.
	ObservedAt time.Time `json:"observed_at,omitzero"`
	// Stale is set if the facts are older than the ask allows and were kept because of an outage.
	Stale bool `json:"stale,omitempty"`
	// Took is how long the gateway waited.
	Took              time.Duration `json:"took"`
	Attempts          int           `json:"attempts,omitempty"`
	UpstreamRequestID string        `json:"upstream_request_id,omitempty"`
}

// Fact reads one fact by name, "found" included. It is the only place that knows what a fault and an
// empty answer mean for the facts.
func (f Finding) Fact(name string) Fact {
	switch {
	case f.Fault != NoFault:
		return Fact{State: Unknown}
	case name == Found:
		return Fact{State: Known, Value: f.Found}
	case !f.Found:
		return Fact{State: None}
	}
	fact, ok := f.Facts[name]
	if !ok || fact.State != None && (fact.State != Known || fact.Value == nil) {
		return Fact{State: Unknown}
	}
	return fact
}
