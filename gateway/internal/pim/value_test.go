package pim_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// decode reads JSON the way a journal does: numbers keep their digits.
func decode(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return v
}

func TestRestoreBringsBackWhatWasMarshalled(t *testing.T) {
	t.Parallel()
	message := pim.Type{Kind: pim.Message, Fields: []pim.Field{
		{Name: "since", Type: pim.Type{Kind: pim.Timestamp}},
		{Name: "level", Type: pim.Type{Kind: pim.Int}},
		{Name: "absent", Type: pim.Type{Kind: pim.Bool}},
	}}
	at := time.Date(2026, 10, 1, 8, 30, 0, 123456789, time.UTC)
	for name, test := range map[string]struct {
		kind  pim.Type
		value any
	}{
		"bool":             {pim.Type{Kind: pim.Bool}, true},
		"int":              {pim.Type{Kind: pim.Int}, int64(-42)},
		"largest int":      {pim.Type{Kind: pim.Int}, int64(math.MaxInt64)},
		"smallest int":     {pim.Type{Kind: pim.Int}, int64(math.MinInt64)},
		"int past float64": {pim.Type{Kind: pim.Int}, int64(1<<53 + 1)},
		"largest uint":     {pim.Type{Kind: pim.Uint}, uint64(math.MaxUint64)},
		"double":           {pim.Type{Kind: pim.Double}, 0.1},
		"whole double":     {pim.Type{Kind: pim.Double}, 3.0},
		"string":           {pim.Type{Kind: pim.String}, "héllo"},
		"enum":             {pim.Type{Kind: pim.Enum, Words: []string{"open", "closed"}}, "open"},
		"bytes":            {pim.Type{Kind: pim.Bytes}, []byte{0, 1, 254, 255}},
		"timestamp":        {pim.Type{Kind: pim.Timestamp}, at},
		"duration":         {pim.Type{Kind: pim.Duration}, 90 * time.Minute},
		"list":             {pim.Type{Kind: pim.List, Elem: &pim.Type{Kind: pim.Duration}}, []any{time.Second, time.Hour}},
		"map":              {pim.Type{Kind: pim.Map, Elem: &pim.Type{Kind: pim.Bytes}}, map[string]any{"a": []byte("x")}},
		"message":          {message, map[string]any{"since": at, "level": int64(2)}},
		"list of messages": {pim.Type{Kind: pim.List, Elem: &message}, []any{map[string]any{"level": int64(1)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(test.value)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := test.kind.Restore(decode(t, string(text)))
			if !ok {
				t.Fatalf("Restore(%s) does not fit", text)
			}
			if diff := cmp.Diff(test.value, got); diff != "" {
				t.Errorf("Restore(%s): %s", text, diff)
			}
			again, ok := test.kind.Restore(got)
			if !ok || !cmp.Equal(got, again) {
				t.Errorf("a restored value does not stay as it is: %v, %t", again, ok)
			}
		})
	}
}

func TestRestoreReadsOtherSpellings(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("", 2*60*60)
	for name, test := range map[string]struct {
		kind     pim.Kind
		in, want any
	}{
		"int from float64":    {pim.Int, 7.0, int64(7)},
		"int from text":       {pim.Int, "-9223372036854775808", int64(math.MinInt64)},
		"uint from float64":   {pim.Uint, 7.0, uint64(7)},
		"uint from text":      {pim.Uint, "18446744073709551615", uint64(math.MaxUint64)},
		"not a number":        {pim.Double, "NaN", math.NaN()},
		"infinity":            {pim.Double, "Infinity", math.Inf(1)},
		"minus infinity":      {pim.Double, "-Infinity", math.Inf(-1)},
		"duration float64":    {pim.Duration, 1e9, time.Second},
		"timestamp elsewhere": {pim.Timestamp, time.Date(2026, 1, 1, 2, 0, 0, 0, east), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		"timestamp offset":    {pim.Timestamp, "2026-01-01T02:00:00+02:00", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := pim.Type{Kind: test.kind}.Restore(test.in)
			if !ok {
				t.Fatalf("Restore(%v) does not fit", test.in)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	text := pim.Type{Kind: pim.String}
	for name, test := range map[string]struct {
		kind pim.Type
		in   any
	}{
		"no kind":              {pim.Type{}, "x"},
		"null":                 {text, nil},
		"number for text":      {text, json.Number("1")},
		"text for bool":        {pim.Type{Kind: pim.Bool}, "true"},
		"fraction for int":     {pim.Type{Kind: pim.Int}, 1.5},
		"too large for int":    {pim.Type{Kind: pim.Int}, float64(1 << 63)},
		"too long for int":     {pim.Type{Kind: pim.Int}, json.Number("9223372036854775808")},
		"exponent for int":     {pim.Type{Kind: pim.Int}, json.Number("1e3")},
		"nan for int":          {pim.Type{Kind: pim.Int}, math.NaN()},
		"negative for uint":    {pim.Type{Kind: pim.Uint}, json.Number("-1")},
		"too large for uint":   {pim.Type{Kind: pim.Uint}, math.Inf(1)},
		"too large for double": {pim.Type{Kind: pim.Double}, json.Number("1e999")},
		"text for double":      {pim.Type{Kind: pim.Double}, "1.5"},
		"word it cannot have":  {pim.Type{Kind: pim.Enum, Words: []string{"open"}}, "shut"},
		"not base64":           {pim.Type{Kind: pim.Bytes}, "*"},
		"loose base64":         {pim.Type{Kind: pim.Bytes}, "QR=="},
		"not a time":           {pim.Type{Kind: pim.Timestamp}, "yesterday"},
		"text for duration":    {pim.Type{Kind: pim.Duration}, "1000"},
		"bool for duration":    {pim.Type{Kind: pim.Duration}, true},
		"text for list":        {pim.Type{Kind: pim.List, Elem: &text}, "x"},
		"list without element": {pim.Type{Kind: pim.List}, []any{}},
		"bad element":          {pim.Type{Kind: pim.List, Elem: &text}, []any{"a", true}},
		"null element":         {pim.Type{Kind: pim.List, Elem: &text}, []any{nil}},
		"bad map member":       {pim.Type{Kind: pim.Map, Elem: &text}, map[string]any{"a": 1.0}},
		"map without element":  {pim.Type{Kind: pim.Map}, map[string]any{}},
		"list for message":     {pim.Type{Kind: pim.Message}, []any{}},
		"member it lacks":      {pim.Type{Kind: pim.Message}, map[string]any{"a": "b"}},
		"bad member": {
			pim.Type{Kind: pim.Message, Fields: []pim.Field{{Name: "a", Type: text}}},
			map[string]any{"a": true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := test.kind.Restore(test.in); ok {
				t.Errorf("Restore(%v) = %v, want that it does not fit", test.in, got)
			}
		})
	}
}
