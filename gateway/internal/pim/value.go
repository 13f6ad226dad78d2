package pim

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// Restore turns a value that was decoded from JSON back into the Go type of its Kind, and reports
// false if it does not fit. A value that has that type already stays as it is. Numbers may come as
// json.Number, which keeps all 64 bits, as float64 or as text.
func (t Type) Restore(v any) (any, bool) {
	switch t.Kind {
	case Bool:
		b, ok := v.(bool)
		return b, ok
	case Int:
		return restoreInt(v)
	case Uint:
		return restoreUint(v)
	case Double:
		return restoreDouble(v)
	case String, Enum:
		return t.restoreText(v)
	case Bytes:
		return restoreBytes(v)
	case Timestamp:
		return restoreTimestamp(v)
	case Duration:
		return restoreDuration(v)
	case List:
		return t.restoreList(v)
	case Map:
		return t.restoreMap(v)
	case Message:
		return t.restoreMessage(v)
	}
	return nil, false
}

func restoreInt(v any) (any, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		// 2^63 itself is a float64 and does not fit.
		if n != math.Trunc(n) || n < -1<<63 || n >= 1<<63 {
			return nil, false
		}
		return int64(n), true
	case json.Number:
		return restoreInt(string(n))
	case string:
		i, err := strconv.ParseInt(n, 10, 64)
		return i, err == nil
	}
	return nil, false
}

func restoreUint(v any) (any, bool) {
	switch n := v.(type) {
	case uint64:
		return n, true
	case float64:
		if n != math.Trunc(n) || n < 0 || n >= 1<<64 {
			return nil, false
		}
		return uint64(n), true
	case json.Number:
		return restoreUint(string(n))
	case string:
		u, err := strconv.ParseUint(n, 10, 64)
		return u, err == nil
	}
	return nil, false
}

func restoreDouble(v any) (any, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	case string:
		return restoreNonFinite(n)
	}
	return nil, false
}

// restoreNonFinite reads the spellings that ProtoJSON has for what JSON's numbers cannot say.
func restoreNonFinite(text string) (any, bool) {
	switch text {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return nil, false
}

func (t Type) restoreText(v any) (any, bool) {
	text, ok := v.(string)
	if t.Kind == Enum && len(t.Words) > 0 {
		ok = ok && slices.Contains(t.Words, text)
	}
	return text, ok
}

func restoreBytes(v any) (any, bool) {
	switch b := v.(type) {
	case []byte:
		return b, true
	case string:
		decoded, err := base64.StdEncoding.Strict().DecodeString(b)
		return decoded, err == nil
	}
	return nil, false
}

func restoreTimestamp(v any) (any, bool) {
	switch at := v.(type) {
	case time.Time:
		return at.UTC(), true
	case string:
		parsed, err := time.Parse(time.RFC3339Nano, at)
		return parsed.UTC(), err == nil
	}
	return nil, false
}

func restoreDuration(v any) (any, bool) {
	if d, ok := v.(time.Duration); ok {
		return d, true
	}
	if _, ok := v.(string); ok {
		return nil, false
	}
	n, ok := restoreInt(v)
	if !ok {
		return nil, false
	}
	nanoseconds, ok := n.(int64)
	return time.Duration(nanoseconds), ok
}

func (t Type) restoreList(v any) (any, bool) {
	list, ok := v.([]any)
	if !ok || t.Elem == nil {
		return nil, false
	}
	restored := make([]any, len(list))
	for i, elem := range list {
		if restored[i], ok = t.Elem.Restore(elem); !ok {
			return nil, false
		}
	}
	return restored, true
}

func (t Type) restoreMap(v any) (any, bool) {
	members, ok := v.(map[string]any)
	if !ok || t.Elem == nil {
		return nil, false
	}
	restored := make(map[string]any, len(members))
	for name, member := range members {
		if restored[name], ok = t.Elem.Restore(member); !ok {
			return nil, false
		}
	}
	return restored, true
}

// restoreMessage refuses members that the type does not have: what they mean is not known.
func (t Type) restoreMessage(v any) (any, bool) {
	members, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	restored := make(map[string]any, len(members))
	for name, member := range members {
		i := slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == name })
		if i < 0 {
			return nil, false
		}
		if restored[name], ok = t.Fields[i].Type.Restore(member); !ok {
			return nil, false
		}
	}
	return restored, true
}
