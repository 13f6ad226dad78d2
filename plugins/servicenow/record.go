package main

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// record is one row of a table: the fields that were asked for, without those that may not be read.
type record map[string]jsontext.Value

// cell is one field of a row. ServiceNow writes it in four forms: as a bare scalar, as a reference with
// link and value, as a pair of display value and value, and in its change API as numbers and truth values
// in such a pair.
type cell struct {
	// readable is false for a field that is missing, which is how a hidden one looks, or that is of no
	// known form.
	readable bool
	value    string
	display  string
}

func (r record) cell(name string) cell {
	raw := r[name]
	if raw.Kind() != '{' {
		value, ok := scalar(raw)
		return cell{readable: ok, value: value, display: value}
	}
	var pair struct {
		Value   jsontext.Value `json:"value"`
		Display jsontext.Value `json:"display_value"`
	}
	if json.Unmarshal(raw, &pair) != nil {
		return cell{}
	}
	value, ok := scalar(pair.Value)
	display, _ := scalar(pair.Display)
	return cell{readable: ok, value: value, display: display}
}

// scalar reads a string, a number or a truth value as the string that the database has. Numbers can be
// written as -1, 3 or 3.0.
func scalar(raw jsontext.Value) (string, bool) {
	switch raw.Kind() {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case '0':
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return "", false
		}
		return strconv.FormatInt(int64(f), 10), true
	case 't', 'f':
		return string(raw), true
	default:
		return "", false
	}
}

// known is the value, if there is one.
func (c cell) known() (string, bool) { return c.value, c.readable && c.value != "" }

// empty says that the field may be read and has nothing in it.
func (c cell) empty() bool { return c.readable && c.value == "" }

// words is the value as people see it.
func (c cell) words() string {
	if c.display != "" {
		return c.display
	}
	return c.value
}

func (c cell) text() *string {
	if value, ok := c.known(); ok {
		return &value
	}
	return nil
}

func (c cell) label() *string {
	if _, ok := c.known(); !ok {
		return nil
	}
	return new(c.words())
}

func (c cell) flag() *bool {
	switch c.value {
	case "true", "1":
		return new(true)
	case "false", "0":
		return new(false)
	default:
		return nil
	}
}

// within is a whole number from 1 to a limit.
func (c cell) within(limit int32) *int32 {
	n, err := strconv.ParseInt(c.value, 10, 32)
	if err != nil || n < 1 || n > int64(limit) {
		return nil
	}
	return new(int32(n))
}

// instant reads the database's value, which is in UTC. The display value is in the zone and format of the
// integration account and means something else to everybody.
func (c cell) instant() *timestamppb.Timestamp {
	at, err := time.ParseInLocation(time.DateTime, c.value, time.UTC)
	if err != nil || at.Year() < 1971 {
		return nil
	}
	return timestamppb.New(at)
}
