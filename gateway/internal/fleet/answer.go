package fleet

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/countersign/countersign/gateway/internal/pim"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// answer reads a capability's response. Facts of sensitivity secret lead no further than the policy:
// they are kept apart by their sensitivity where findings are recorded.
func answer(response protoreflect.Message) (facts map[string]pim.Fact, observation *connectorv1.Observation, err error) {
	observation, err = observed(response)
	if err != nil {
		return nil, nil, err
	}
	hidden := map[string]bool{}
	for _, name := range observation.GetUnknownFields() {
		hidden[name] = true
	}
	all := response.Descriptor().Fields()
	facts = make(map[string]pim.Fact, all.Len())
	for i := range all.Len() {
		f := all.Get(i)
		if isObservation(f) {
			continue
		}
		facts[string(f.Name())] = fact(response, f, hidden[string(f.Name())])
	}
	return facts, observation, nil
}

// observed reads the observation, without which nobody could say how old the facts are.
func observed(response protoreflect.Message) (*connectorv1.Observation, error) {
	all := response.Descriptor().Fields()
	for i := range all.Len() {
		f := all.Get(i)
		if !isObservation(f) || !response.Has(f) {
			continue
		}
		wire, err := proto.Marshal(response.Get(f).Message().Interface())
		if err != nil {
			return nil, fmt.Errorf("observation: %w", err)
		}
		o := &connectorv1.Observation{}
		if err := proto.Unmarshal(wire, o); err != nil {
			return nil, fmt.Errorf("observation: %w", err)
		}
		if err := o.GetObservedAt().CheckValid(); err != nil {
			return nil, fmt.Errorf("observed_at: %w", err)
		}
		return o, nil
	}
	return nil, fmt.Errorf("the answer has no observation")
}

// fact reads one field. A field that is unset is none, one that the connector names hidden is
// unknown, whatever else it holds, and so is a value that has no meaning, such as an enum's number
// that these descriptors do not know.
func fact(response protoreflect.Message, f protoreflect.FieldDescriptor, hidden bool) pim.Fact {
	switch {
	case hidden:
		return pim.Fact{State: pim.Unknown}
	case f.HasPresence() && !response.Has(f):
		return pim.Fact{State: pim.None}
	}
	value, ok := fieldValue(f, response.Get(f))
	if !ok {
		return pim.Fact{State: pim.Unknown}
	}
	secret := rulesOf(f).GetSensitivity() == connectorv1.Sensitivity_SENSITIVITY_SECRET
	return pim.Fact{State: pim.Known, Value: value, Secret: secret}
}

func fieldValue(f protoreflect.FieldDescriptor, v protoreflect.Value) (any, bool) {
	switch {
	case f.IsMap():
		return mapValue(f, v.Map())
	case f.IsList():
		return listValue(f, v.List())
	default:
		return singleValue(f, v)
	}
}

func listValue(f protoreflect.FieldDescriptor, list protoreflect.List) (any, bool) {
	items := make([]any, 0, list.Len())
	for i := range list.Len() {
		item, ok := singleValue(f, list.Get(i))
		if !ok {
			return nil, false
		}
		items = append(items, item)
	}
	return items, true
}

func mapValue(f protoreflect.FieldDescriptor, m protoreflect.Map) (any, bool) {
	members := make(map[string]any, m.Len())
	for key, value := range m.Range {
		member, ok := singleValue(f.MapValue(), value)
		if !ok {
			return nil, false
		}
		members[key.String()] = member
	}
	return members, true
}

func singleValue(f protoreflect.FieldDescriptor, v protoreflect.Value) (any, bool) {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return v.Bool(), true
	case protoreflect.StringKind:
		return v.String(), utf8.ValidString(v.String())
	case protoreflect.BytesKind:
		return v.Bytes(), true
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return v.Float(), !math.IsNaN(v.Float()) && !math.IsInf(v.Float(), 0)
	case protoreflect.EnumKind:
		e := f.Enum().Values().ByNumber(v.Enum())
		if e == nil || e.Number() == 0 {
			return nil, false
		}
		return enumWord(f.Enum(), e), true
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return messageValue(v.Message())
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return v.Uint(), true
	default:
		return v.Int(), true
	}
}

// messageValue reads a nested message; its absent members are none. A timestamp or duration out of the
// range that Go and CEL can hold is no value.
func messageValue(m protoreflect.Message) (any, bool) {
	all := m.Descriptor().Fields()
	switch m.Descriptor().FullName() {
	case timestampName:
		return timestamp(m.Get(all.ByName("seconds")).Int(), m.Get(all.ByName("nanos")).Int())
	case durationName:
		return duration(m.Get(all.ByName("seconds")).Int(), m.Get(all.ByName("nanos")).Int())
	}
	members := make(map[string]any, all.Len())
	for i := range all.Len() {
		f := all.Get(i)
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		member, ok := fieldValue(f, m.Get(f))
		if !ok {
			return nil, false
		}
		members[string(f.Name())] = member
	}
	return members, true
}

// timestamp accepts the range of google.protobuf.Timestamp: the years 1 to 9999.
func timestamp(seconds, nanos int64) (any, bool) {
	const first, last = -62135596800, 253402300799
	if seconds < first || seconds > last || nanos < 0 || nanos >= int64(time.Second) {
		return nil, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}

func duration(seconds, nanos int64) (any, bool) {
	const most = int64(math.MaxInt64 / time.Second)
	if seconds <= -most || seconds >= most || nanos <= -int64(time.Second) || nanos >= int64(time.Second) {
		return nil, false
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos), true
}
