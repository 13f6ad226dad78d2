package pim

// Capability is a family of questions that a connector answers, as its descriptors tell it.
type Capability struct {
	// Method is the full gRPC method name, such as "countersign.ticket.v1.TicketService/GetTicket".
	Method string `json:"method"`
	// Word is the short name of a standard capability, such as "ticket"; empty for a vendor's own.
	Word string `json:"word,omitempty"`
	Doc  string `json:"doc,omitempty"`
	// Arguments are the fields of the question.
	Arguments []Field `json:"arguments"`
	// Facts are the fields of the answer, without the fact "found", which every answer has.
	Facts []Field `json:"facts"`
}

// Field is one argument or fact.
type Field struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
	Doc  string `json:"doc,omitempty"`
	// Required is set for arguments without which the question makes no sense.
	Required    bool        `json:"required,omitempty"`
	Sensitivity Sensitivity `json:"sensitivity"`
}

// Sensitivity decides where a fact may appear.
type Sensitivity string

// The sensitivities, from the least to the most. A connector that says nothing means ThirdParty.
const (
	Public     Sensitivity = "public"
	Requester  Sensitivity = "requester"
	ThirdParty Sensitivity = "third_party"
	Secret     Sensitivity = "secret"
)

// ShownToRequester reports whether a reason may name the fact.
func (s Sensitivity) ShownToRequester() bool { return s == Public || s == Requester }

// Kind is the basic form of a type.
type Kind string

// The kinds, each with the Go type its values have.
const (
	Bool      Kind = "bool"      // bool
	Int       Kind = "int"       // int64
	Uint      Kind = "uint"      // uint64
	Double    Kind = "double"    // float64
	String    Kind = "string"    // string
	Bytes     Kind = "bytes"     // []byte
	Timestamp Kind = "timestamp" // time.Time, UTC
	Duration  Kind = "duration"  // time.Duration
	Enum      Kind = "enum"      // string, one of Words
	List      Kind = "list"      // []any of Elem
	Map       Kind = "map"       // map[string]any of Elem
	Message   Kind = "message"   // map[string]any of Fields; an absent member is none
)

// Type is the type of an argument or fact.
type Type struct {
	Kind Kind `json:"kind"`
	// Name is the full name of an enum or message.
	Name   string   `json:"name,omitempty"`
	Words  []string `json:"words,omitempty"`
	Elem   *Type    `json:"elem,omitempty"`
	Fields []Field  `json:"fields,omitempty"`
}

// Name is how policies and configurations name the capability: its word if it is a standard one.
func (c Capability) Name() string {
	if c.Word != "" {
		return c.Word
	}
	return c.Method
}
