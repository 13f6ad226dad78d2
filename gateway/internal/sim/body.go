package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Spelling is how a callout's body is put where the same activation can be put in several ways. Its
// zero value is the full shape as each API writes it.
type Spelling struct {
	// Form says which members the body has.
	Form Form
	// Enums is how the words of enumerations begin.
	Enums EnumCase
	// Durations is how the length of the access is put.
	Durations DurationForm
	// NoTicket is how the absence of a ticket is put.
	NoTicket NoTicketForm
	// BareRole puts an Azure role as its GUID in place of its full ARM id.
	BareRole bool
	// ContextType puts the context URL into "@odata.type", as samples of Graph's own documentation do.
	ContextType bool
	// Requester is the name and address that the Azure shape repeats in its expanded properties.
	Requester Requester
	// Extra members, in addition to those of the shape, as later versions of PIM may send them.
	Extra map[string]any
}

// Requester is what the Azure shape says of the principal for display.
type Requester struct{ Name, Email string }

// Form says which members a body has.
type Form string

// The forms.
const (
	// Full has every member of the underlying type.
	Full Form = ""
	// Documented has the members of PIM's public documentation only; the Azure shape then has no id.
	Documented Form = "documented"
)

// EnumCase is how the words of enumerations begin: Graph answers in camel case and accepts Pascal case,
// ARM writes Pascal case.
type EnumCase string

// The cases.
const (
	Native EnumCase = ""
	Camel  EnumCase = "camel"
	Pascal EnumCase = "pascal"
)

// DurationForm is how the length of the access is put.
type DurationForm string

// The forms of durations.
const (
	// Hours is ISO 8601 in the largest units, such as PT8H or P1DT30M.
	Hours DurationForm = ""
	// Minutes is ISO 8601 in minutes, such as PT480M, as portals write it.
	Minutes DurationForm = "minutes"
	// TimeSpan is .NET's form, such as 08:00:00 or 1.00:30:00.
	TimeSpan DurationForm = "time_span"
	// EndTime gives the end in place of the length.
	EndTime DurationForm = "end_time"
)

// NoTicketForm is how the absence of a ticket is put.
type NoTicketForm string

// The forms of no ticket.
const (
	// NullMembers is an object whose members are null.
	NullMembers NoTicketForm = ""
	// NullTicket is null in place of the object.
	NullTicket NoTicketForm = "null"
	// EmptyMembers is an object whose members are empty strings.
	EmptyMembers NoTicketForm = "empty"
	// AbsentTicket has no such member.
	AbsentTicket NoTicketForm = "absent"
)

// Body writes the callout's body that stands for an activation, in the shape of its provider.
func Body(a pim.Activation, s Spelling) ([]byte, error) {
	var body object
	switch a.Provider {
	case pim.EntraRole:
		body = entraRole(a, s)
	case pim.Group:
		body = group(a, s)
	case pim.AzureResource:
		body = azureResource(a, s)
	default:
		return nil, fmt.Errorf("body of provider %q: no such shape", a.Provider)
	}
	text, err := json.Marshal(edited(body, s.Extra, nil))
	if err != nil {
		return nil, fmt.Errorf("body of %s: %w", a.Provider, err)
	}
	return text, nil
}

// Twin returns an edit that puts a second member of the given name before the others of an object.
// Decoders disagree on which of the two counts; a careful one refuses the text.
func Twin(name string, value any) func([]byte) []byte {
	return func(text []byte) []byte {
		twin, err := json.Marshal(object{{name, value}})
		if err != nil || len(text) == 0 || text[0] != '{' {
			return text
		}
		return append(append(twin[:len(twin)-1], ','), text[1:]...)
	}
}

func withTicket(o object, a pim.Activation, s Spelling) object {
	if a.Ticket != (pim.Ticket{}) {
		return append(o, member{"ticketInfo", object{{"ticketNumber", orNull(a.Ticket.Number)}, {"ticketSystem", orNull(a.Ticket.System)}}})
	}
	switch s.NoTicket {
	case AbsentTicket:
		return o
	case NullTicket:
		return append(o, member{"ticketInfo", nil})
	case EmptyMembers:
		return append(o, member{"ticketInfo", object{{"ticketNumber", ""}, {"ticketSystem", ""}}})
	case NullMembers:
	}
	return append(o, member{"ticketInfo", object{{"ticketNumber", nil}, {"ticketSystem", nil}}})
}

func schedule(a pim.Activation, s Spelling, native EnumCase) object {
	start := any(timestamp(a.StartsAt))
	if a.StartsOnArrival {
		start = nil
	}
	return object{{"startDateTime", start}, {"expiration", expiration(a, s, native)}}
}

func expiration(a pim.Activation, s Spelling, native EnumCase) object {
	var o object
	switch end, ends := a.EndsAt(); {
	case !ends:
		o = object{{"type", s.word("no_expiration", native)}, {"endDateTime", nil}, {"duration", nil}}
	case s.Durations == EndTime:
		o = object{{"type", s.word("after_date_time", native)}, {"endDateTime", timestamp(end)}, {"duration", nil}}
	default:
		o = object{{"type", s.word("after_duration", native)}, {"endDateTime", nil}, {"duration", s.duration(a.Duration)}}
	}
	if s.Form == Documented {
		return slices.DeleteFunc(o, func(m member) bool { return m.value == nil })
	}
	return o
}

// timestamp writes seven digits of a second, as both APIs do.
func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.0000000Z") }

func (s Spelling) duration(d time.Duration) string {
	switch s.Durations {
	case Minutes:
		return fmt.Sprintf("PT%dM", int64(d/time.Minute))
	case TimeSpan:
		return timeSpan(d)
	case Hours, EndTime:
	}
	return iso8601(d)
}

func timeSpan(d time.Duration) string {
	clock := fmt.Sprintf("%02d:%02d:%02d", int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60)
	if days := int(d.Hours()) / 24; days > 0 {
		return fmt.Sprintf("%d.%s", days, clock)
	}
	return clock
}

func iso8601(d time.Duration) string {
	var b strings.Builder
	b.WriteByte('P')
	if days := d / (24 * time.Hour); days > 0 {
		fmt.Fprintf(&b, "%dD", days)
		d %= 24 * time.Hour
	}
	if d == 0 {
		return b.String()
	}
	b.WriteByte('T')
	for _, part := range []struct {
		unit   time.Duration
		letter string
	}{{time.Hour, "H"}, {time.Minute, "M"}, {time.Second, "S"}} {
		if n := d / part.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, part.letter)
			d %= part.unit
		}
	}
	return b.String()
}

// word turns a word of ours, such as self_activate, into one of the API's.
func (s Spelling) word(ours string, native EnumCase) string {
	style := s.Enums
	if style == Native {
		style = native
	}
	var b strings.Builder
	for i, part := range strings.Split(ours, "_") {
		if part != "" && (i > 0 || style == Pascal) {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		b.WriteString(part)
	}
	return b.String()
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// GraphScope writes a normalised directory scope as Graph spells it.
func GraphScope(scope string) string {
	return strings.Replace(scope, "/administrativeunits/", "/administrativeUnits/", 1)
}

// ARMScope writes a normalised scope as Azure Resource Manager spells it.
func ARMScope(scope string) string {
	for _, spelled := range []string{"/resourceGroups/", "/providers/", "/Microsoft.Management/", "/managementGroups/"} {
		scope = regexp.MustCompile("(?i)"+regexp.QuoteMeta(spelled)).ReplaceAllLiteralString(scope, spelled)
	}
	return scope
}

// object is a JSON object whose members keep their order: the bodies that PIM sends have one, and a
// reader that depends on another order should show it here.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeMember(&b, m); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func writeMember(b *bytes.Buffer, m member) error {
	name, err := json.Marshal(m.name)
	if err != nil {
		return fmt.Errorf("member %q: %w", m.name, err)
	}
	value, err := json.Marshal(m.value)
	if err != nil {
		return fmt.Errorf("member %q: %w", m.name, err)
	}
	b.Write(name)
	b.WriteByte(':')
	b.Write(value)
	return nil
}

// with returns the object with one member set, in its old place if it has one.
func (o object) with(name string, value any) object {
	at := o.index(name)
	if at < 0 {
		return append(slices.Clone(o), member{name, value})
	}
	changed := slices.Clone(o)
	changed[at].value = value
	return changed
}

// without returns the object without the named members.
func (o object) without(names ...string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return slices.Contains(names, m.name) })
}

func (o object) index(name string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.name == name })
}
