package condition

import (
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Native is the value with the Go type of its pim.Kind; nil if there is none.
func (r Result) Native() any {
	if r.State != pim.Known {
		return nil
	}
	return toNative(r.value)
}

func toNative(value ref.Val) any {
	switch v := value.(type) {
	case types.String:
		return string(v)
	case types.Bool:
		return bool(v)
	case types.Int:
		return int64(v)
	case types.Uint:
		return uint64(v)
	case types.Double:
		return float64(v)
	case types.Bytes:
		return []byte(v)
	case types.Timestamp:
		return v.UTC()
	case types.Duration:
		return v.Duration
	case traits.Mapper:
		return nativeMap(v)
	case traits.Lister:
		return nativeList(v)
	}
	return nil
}

func nativeList(l traits.Lister) []any {
	out := []any{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		out = append(out, toNative(it.Next()))
	}
	return out
}

func nativeMap(m traits.Mapper) map[string]any {
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		if name, ok := key.(types.String); ok {
			out[string(name)] = toNative(m.Get(key))
		}
	}
	return out
}

// Text is the value as a reason shows it: "unknown" and "none" where it is that. Times are in UTC.
func (r Result) Text() string {
	switch {
	case r.State == pim.None:
		return "none"
	case r.State != pim.Known:
		return "unknown"
	}
	return Show(toNative(r.value))
}

// Show writes a value of one of the kinds for people to read.
func Show(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04 UTC")
	case time.Duration:
		return showDuration(v)
	}
	return "unknown"
}

// showDuration leaves out the zero parts that time.Duration.String writes: 4h, not 4h0m0s.
func showDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if n := len(text) - len(zero); n > 0 && text[n:] == zero {
			text = text[:n+1]
		}
	}
	return text
}

// Same reports whether two results are certainly alike.
func (r Result) Same(other Result) bool {
	if r.State != other.State || r.Pending != other.Pending {
		return false
	}
	if r.Err != nil || other.Err != nil {
		return r.Err != nil && other.Err != nil && r.Err.Error() == other.Err.Error()
	}
	switch r.value.(type) {
	case nil, types.String, types.Bool, types.Int, types.Uint, types.Double, types.Duration:
		return r.value == other.value
	}
	return false // lists and maps cannot be compared in Go
}
