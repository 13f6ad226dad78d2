package main

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/upstream"
)

// object is an entry of the directory as Graph spells it.
type object map[string]jsontext.Value

// isNull says that Graph named the property and gave no value. What that means depends on the property
// and on the permissions.
func (o object) isNull(name string) bool { return string(o[name]) == "null" }

func (o object) is(id string) bool {
	got := o.text("id")
	return got != nil && strings.EqualFold(*got, id)
}

// text is nil for a property that is absent, null, empty or no string.
func (o object) text(name string) *string {
	var s string
	if o[name] == nil || o.isNull(name) || json.Unmarshal(o[name], &s) != nil || s == "" {
		return nil
	}
	return &s
}

// lower is text in lower case; only ASCII letters are folded.
func (o object) lower(name string) *string {
	s := o.text(name)
	if s == nil {
		return nil
	}
	return new(strings.Map(lowerASCII, *s))
}

func lowerASCII(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}

func (o object) address(name string) *string {
	s := o.text(name)
	if s == nil || upstream.Email(*s) == "" {
		return nil
	}
	return new(upstream.Email(*s))
}

// enabled is accountEnabled, which users, devices and service principals have.
func (o object) enabled() *bool {
	var b bool
	raw := o["accountEnabled"]
	if raw == nil || o.isNull("accountEnabled") || json.Unmarshal(raw, &b) != nil {
		return nil
	}
	return &b
}

// instant reads an RFC 3339 time. The year 1, which some tools write for "never", is nobody's date.
func (o object) instant(name string) *timestamppb.Timestamp {
	s := o.text(name)
	if s == nil {
		return nil
	}
	at, err := time.Parse(time.RFC3339, *s)
	if err != nil || at.Year() < 1900 {
		return nil
	}
	return timestamppb.New(at)
}

func (o object) nested(name string) object {
	var inner object
	if o[name] == nil || o.isNull(name) || json.Unmarshal(o[name], &inner) != nil {
		return nil
	}
	return inner
}
