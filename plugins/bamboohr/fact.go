package main

import (
	"encoding/json"
	"slices"
	"time"
)

// state is what is known about a fact. The zero state is unknown.
type state int

const (
	unknown state = iota
	none
	known
)

// fact is a value, known to be absent, or unknown.
type fact[T any] struct {
	state state
	value T
}

func valueOf[T any](v T) fact[T] { return fact[T]{known, v} }

func noneOf[T any]() fact[T] { return fact[T]{state: none} }

// or is the other fact if this one is unknown.
func (f fact[T]) or(other fact[T]) fact[T] {
	if f.state == unknown {
		return other
	}
	return f
}

// field is one member of a record: a text, or a number, which BambooHR sends in places, as its digits.
// Null and an empty text are none. Anything else is unknown.
type field struct {
	fact[string]
	// names is set if the member is a list of texts.
	names []string
}

// UnmarshalJSON is called for members that are there, null included.
func (f *field) UnmarshalJSON(data []byte) error { //nolint:unparam // This is how a json.Unmarshaler looks.
	var text *string
	var number json.Number
	switch {
	case json.Unmarshal(data, &text) == nil:
		f.state = none
		if text != nil && *text != "" {
			f.fact = valueOf(*text)
		}
	case json.Unmarshal(data, &number) == nil:
		f.fact = valueOf(number.String())
	default:
		_ = json.Unmarshal(data, &f.names) // Not a list either: unknown.
	}
	return nil
}

// record holds the members of an employee record by name. A member that is not there was hidden from the
// key or does not exist: it is unknown.
type record map[string]field

// text is a member as text. One that the record itself calls restricted is unknown, whatever it looks like.
func (r record) text(name string) fact[string] {
	if slices.Contains(r["_restrictedFields"].names, name) {
		return fact[string]{}
	}
	return r[name].fact
}

// noDate is what BambooHR writes for a date that is not set.
const noDate = "0000-00-00"

// day is a date in the company's time zone, as the instant at which it begins there.
func (r record) day(name string, zone *time.Location) fact[time.Time] {
	text := r.text(name)
	if text.state == known && text.value == noDate {
		return noneOf[time.Time]()
	}
	if text.state != known {
		return fact[time.Time]{state: text.state}
	}
	day, err := time.ParseInLocation(time.DateOnly, text.value, zone)
	if err != nil {
		return fact[time.Time]{}
	}
	return valueOf(day)
}

// endOf is the instant at which a day ends: the next one begins.
func endOf(day time.Time) time.Time { return day.AddDate(0, 0, 1) }
