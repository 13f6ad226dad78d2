package connectortest

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// What an answer knows about a fact, as [State] returns it.
const (
	Value   = "value"   // it has one
	None    = "none"    // it is known to have none
	Unknown = "unknown" // it could not be learnt
)

// State says what an answer knows about the fact of a name: [Value], [None] or [Unknown]. For an answer
// that cannot be read that way it returns a sentence that equals none of them.
func State(response proto.Message, field string) string {
	m := response.ProtoReflect()
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(field))
	if fd == nil {
		return string(m.Descriptor().FullName()) + " has no field " + field
	}
	observation := observationOf(m)
	switch {
	case observation == nil:
		return string(m.Descriptor().FullName()) + " carries no observation"
	case slices.Contains(observation.GetUnknownFields(), field):
		return Unknown
	case m.Has(fd):
		return Value
	default:
		return None
	}
}

func observationOf(m protoreflect.Message) *connectorv1.Observation {
	var found *connectorv1.Observation
	m.Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if nested, ok := v.Interface().(protoreflect.Message); ok {
			if o, ok := nested.Interface().(*connectorv1.Observation); ok {
				found = o
			}
		}
		return found == nil
	})
	return found
}
