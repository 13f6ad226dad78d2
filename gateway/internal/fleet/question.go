package fleet

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// request builds the question's message from an ask's arguments.
func request(method protoreflect.MethodDescriptor, arguments map[string]any) (proto.Message, error) {
	m := dynamicpb.NewMessage(method.Input())
	for name, argument := range arguments {
		f := method.Input().Fields().ByName(protoreflect.Name(name))
		if f == nil {
			return nil, fmt.Errorf("%s has no argument %s", methodName(method), name)
		}
		if err := set(m, f, argument); err != nil {
			return nil, fmt.Errorf("argument %s: %w", name, err)
		}
	}
	return m, nil
}

func set(m protoreflect.Message, f protoreflect.FieldDescriptor, value any) error {
	items, isList := value.([]any)
	if f.IsMap() || f.IsList() != isList {
		return fmt.Errorf("a %T does not fit %s", value, f.FullName())
	}
	if !isList {
		v, err := scalar(f, value)
		if err == nil {
			m.Set(f, v)
		}
		return err
	}
	list := m.Mutable(f).List()
	for _, item := range items {
		v, err := scalar(f, item)
		if err != nil {
			return err
		}
		list.Append(v)
	}
	return nil
}

// scalar converts one argument. Policies are type-checked against the same descriptors when they are
// loaded, so that an error here means that a plugin was swapped for another one.
func scalar(f protoreflect.FieldDescriptor, value any) (protoreflect.Value, error) {
	switch v := value.(type) {
	case bool:
		if f.Kind() == protoreflect.BoolKind {
			return protoreflect.ValueOfBool(v), nil
		}
	case string:
		return stringValue(f, v)
	case []byte:
		if f.Kind() == protoreflect.BytesKind {
			return protoreflect.ValueOfBytes(v), nil
		}
	case int64:
		return integerValue(f, v)
	case uint64:
		if v <= math.MaxInt64 {
			return integerValue(f, int64(v))
		}
	case float64:
		return floatValue(f, v)
	case time.Time:
		return clockValue(f, timestampName, v.Unix(), int32(v.Nanosecond())) // #nosec G115 -- below 1e9
	case time.Duration:
		return clockValue(f, durationName, int64(v/time.Second), int32(v%time.Second)) // #nosec G115 -- below 1e9
	}
	return protoreflect.Value{}, fmt.Errorf("a %T does not fit %s", value, f.Kind())
}

func stringValue(f protoreflect.FieldDescriptor, v string) (protoreflect.Value, error) {
	switch f.Kind() {
	case protoreflect.StringKind:
		if !utf8.ValidString(v) {
			return protoreflect.Value{}, fmt.Errorf("the text is not UTF-8")
		}
		return protoreflect.ValueOfString(v), nil
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		for i := range values.Len() {
			if e := values.Get(i); e.Number() != 0 && enumWord(f.Enum(), e) == v {
				return protoreflect.ValueOfEnum(e.Number()), nil
			}
		}
	default:
	}
	return protoreflect.Value{}, fmt.Errorf("%q does not fit %s", v, f.Kind())
}

func integerValue(f protoreflect.FieldDescriptor, v int64) (protoreflect.Value, error) {
	switch f.Kind() {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(v), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		if v >= math.MinInt32 && v <= math.MaxInt32 {
			return protoreflect.ValueOfInt32(int32(v)), nil
		}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if v >= 0 {
			return protoreflect.ValueOfUint64(uint64(v)), nil
		}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if v >= 0 && v <= math.MaxUint32 {
			return protoreflect.ValueOfUint32(uint32(v)), nil
		}
	default:
	}
	return protoreflect.Value{}, fmt.Errorf("%d does not fit %s", v, f.Kind())
}

func floatValue(f protoreflect.FieldDescriptor, v float64) (protoreflect.Value, error) {
	switch f.Kind() {
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(v), nil
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(v)), nil
	default:
		return protoreflect.Value{}, fmt.Errorf("%g does not fit %s", v, f.Kind())
	}
}

// clockValue builds a Timestamp or a Duration, which share their two fields.
func clockValue(f protoreflect.FieldDescriptor, name protoreflect.FullName, seconds int64, nanos int32) (protoreflect.Value, error) {
	if f.Message() == nil || f.Message().FullName() != name {
		return protoreflect.Value{}, fmt.Errorf("a %s does not fit %s", name, f.FullName())
	}
	m := dynamicpb.NewMessage(f.Message())
	m.Set(f.Message().Fields().ByName("seconds"), protoreflect.ValueOfInt64(seconds))
	m.Set(f.Message().Fields().ByName("nanos"), protoreflect.ValueOfInt32(nanos))
	return protoreflect.ValueOfMessage(m), nil
}
