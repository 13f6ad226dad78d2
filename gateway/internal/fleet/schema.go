package fleet

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/countersign/countersign/gateway/internal/pim"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// capability reads what a connector's descriptors say about one method.
func capability(method protoreflect.MethodDescriptor) pim.Capability {
	rules, _ := proto.GetExtension(method.Options(), connectorv1.E_Capability).(*connectorv1.CapabilityRules)
	return pim.Capability{
		Method:    methodName(method),
		Word:      word(method),
		Doc:       rules.GetDoc(),
		Arguments: fields(method.Input()),
		Facts:     fields(method.Output()),
	}
}

// methodName is the full gRPC method name without the leading slash.
func methodName(method protoreflect.MethodDescriptor) string {
	return string(method.Parent().FullName()) + "/" + string(method.Name())
}

// word is the short name of a standard capability: the package between "countersign." and the version.
// The connector package itself is not a capability.
func word(method protoreflect.MethodDescriptor) string {
	parts := strings.Split(string(method.ParentFile().Package()), ".")
	if len(parts) != 3 || parts[0] != "countersign" || parts[1] == "connector" {
		return ""
	}
	return parts[1]
}

func fields(message protoreflect.MessageDescriptor) []pim.Field {
	all := message.Fields()
	list := make([]pim.Field, 0, all.Len())
	for i := range all.Len() {
		f := all.Get(i)
		if isObservation(f) {
			continue
		}
		rules := rulesOf(f)
		list = append(list, pim.Field{
			Name:        string(f.Name()),
			Type:        typeOf(f),
			Doc:         rules.GetDoc(),
			Required:    rules.GetRequired(),
			Sensitivity: sensitivity(rules.GetSensitivity()),
		})
	}
	return list
}

func rulesOf(f protoreflect.FieldDescriptor) *connectorv1.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), connectorv1.E_Field).(*connectorv1.FieldRules)
	return rules
}

func isObservation(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && f.Message().FullName() == (&connectorv1.Observation{}).ProtoReflect().Descriptor().FullName()
}

// sensitivity takes silence for third_party: nothing is shown to a requester that its author has not
// declared harmless.
func sensitivity(s connectorv1.Sensitivity) pim.Sensitivity {
	switch s {
	case connectorv1.Sensitivity_SENSITIVITY_PUBLIC:
		return pim.Public
	case connectorv1.Sensitivity_SENSITIVITY_REQUESTER:
		return pim.Requester
	case connectorv1.Sensitivity_SENSITIVITY_SECRET:
		return pim.Secret
	case connectorv1.Sensitivity_SENSITIVITY_UNSPECIFIED, connectorv1.Sensitivity_SENSITIVITY_THIRD_PARTY:
		return pim.ThirdParty
	default:
		return pim.ThirdParty
	}
}

func typeOf(f protoreflect.FieldDescriptor) pim.Type {
	switch {
	case f.IsMap():
		elem := single(f.MapValue())
		return pim.Type{Kind: pim.Map, Elem: &elem}
	case f.IsList():
		elem := single(f)
		return pim.Type{Kind: pim.List, Elem: &elem}
	default:
		return single(f)
	}
}

// single is the type of one value of a field, its cardinality left aside.
func single(f protoreflect.FieldDescriptor) pim.Type {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return pim.Type{Kind: pim.Enum, Name: string(f.Enum().FullName()), Words: words(f.Enum())}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return messageType(f.Message())
	default:
		return pim.Type{Kind: scalarKind(f.Kind())}
	}
}

func scalarKind(k protoreflect.Kind) pim.Kind {
	switch k {
	case protoreflect.BoolKind:
		return pim.Bool
	case protoreflect.StringKind:
		return pim.String
	case protoreflect.BytesKind:
		return pim.Bytes
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return pim.Double
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return pim.Uint
	default:
		return pim.Int
	}
}

const (
	timestampName = "google.protobuf.Timestamp"
	durationName  = "google.protobuf.Duration"
)

func messageType(m protoreflect.MessageDescriptor) pim.Type {
	switch m.FullName() {
	case timestampName:
		return pim.Type{Kind: pim.Timestamp}
	case durationName:
		return pim.Type{Kind: pim.Duration}
	default:
		return pim.Type{Kind: pim.Message, Name: string(m.FullName()), Fields: fields(m)}
	}
}

// words are an enum's values as policies write them: without the enum's prefix and in lower case. The
// zero value is no word: it means that the connector could not tell.
func words(enum protoreflect.EnumDescriptor) []string {
	values := enum.Values()
	list := make([]string, 0, values.Len())
	for i := range values.Len() {
		if v := values.Get(i); v.Number() != 0 {
			list = append(list, enumWord(enum, v))
		}
	}
	return list
}

func enumWord(enum protoreflect.EnumDescriptor, v protoreflect.EnumValueDescriptor) string {
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), enumPrefix(string(enum.Name()))))
}

// enumPrefix turns an enum's name into the prefix of its values: TicketKind, TICKET_KIND_.
func enumPrefix(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String()) + "_"
}

// checkFacts refuses answers whose fields cannot tell a value from its absence: without explicit
// presence a fact that was never filled in reads as zero, and zero may well mean "fine".
func checkFacts(message protoreflect.MessageDescriptor, depth int) error {
	const deepest = 16
	if depth > deepest {
		return fmt.Errorf("%s nests deeper than %d messages", message.FullName(), deepest)
	}
	all := message.Fields()
	for i := range all.Len() {
		f := all.Get(i)
		if !f.HasPresence() && !f.IsList() && !f.IsMap() {
			return fmt.Errorf("fact %s has no presence; declare it optional", f.FullName())
		}
		nested := f.Message()
		if nested == nil || f.IsMap() || isObservation(f) || nested.ParentFile().Package() == "google.protobuf" {
			continue
		}
		if err := checkFacts(nested, depth+1); err != nil {
			return err
		}
	}
	return nil
}
