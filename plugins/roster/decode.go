package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/upstream"
)

// decoder turns entries into messages of the contract: a field of a file has the name, the type and the
// words of the fact of the same name.
type decoder struct {
	*report
	// zone is where dates without a time are; nil refuses them.
	zone *time.Location
}

// fill sets the fields of the messages from an entry and returns the names of those that are none. The
// first message that has a field of a name takes it.
func (d *decoder) fill(e entry, messages ...proto.Message) (none []string) {
	for name, c := range e.cells {
		m, field := find(name, messages)
		switch {
		case field == nil:
			d.add(c.key, "%s is no field of this table", quoted(name))
		case c.none:
			none = append(none, name)
		default:
			d.set(m, field, c)
		}
	}
	slices.Sort(none)
	return none
}

// find looks a field up. The observation and what this connector works out by itself cannot be written.
func find(name string, messages []proto.Message) (protoreflect.Message, protoreflect.FieldDescriptor) {
	if name == "observation" || name == "on_call" {
		return nil, nil
	}
	for _, message := range messages {
		m := message.ProtoReflect()
		if f := m.Descriptor().Fields().ByName(protoreflect.Name(name)); f != nil {
			return m, f
		}
	}
	return nil, nil
}

func (d *decoder) set(m protoreflect.Message, f protoreflect.FieldDescriptor, c cell) {
	var value protoreflect.Value
	switch f.Kind() {
	case protoreflect.StringKind:
		value = d.text(f, c)
	case protoreflect.BoolKind:
		value = d.boolean(f, c)
	case protoreflect.Int32Kind:
		value = d.number(f, c)
	case protoreflect.EnumKind:
		value = d.word(f, c)
	case protoreflect.MessageKind:
		value = d.instant(f, c)
	default:
		d.add(c.place, "%s cannot be written", f.Name())
	}
	if value.IsValid() {
		m.Set(f, value)
	}
}

const maxText = 500

func (d *decoder) text(f protoreflect.FieldDescriptor, c cell) protoreflect.Value {
	text, form := strings.TrimSpace(c.text), "a text"
	switch f.Name() {
	case "email", "mail", "manager_email", "manager_mail", "user_principal_name":
		text, form = upstream.Email(text), "an address"
	case "id", "manager_id":
		text, form = guid(text), "a GUID"
	case "sam_account_name":
		text = strings.ToLower(text)
	}
	if text == "" || len(text) > maxText || !isPlain(text) {
		d.add(c.place, "%s must be %s", f.Name(), form)
		return protoreflect.Value{}
	}
	return protoreflect.ValueOfString(text)
}

func guid(s string) string {
	s = strings.ToLower(s)
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(s) {
		return ""
	}
	return s
}

func (d *decoder) boolean(f protoreflect.FieldDescriptor, c cell) protoreflect.Value {
	if c.text != "true" && c.text != "false" {
		d.add(c.place, "%s must be true or false", f.Name())
		return protoreflect.Value{}
	}
	return protoreflect.ValueOfBool(c.text == "true")
}

func (d *decoder) number(f protoreflect.FieldDescriptor, c cell) protoreflect.Value {
	n, err := strconv.ParseInt(c.text, 10, 32)
	if err != nil || n < 1 || n > 100 {
		d.add(c.place, "%s must be a number from 1 to 100", f.Name())
		return protoreflect.Value{}
	}
	return protoreflect.ValueOfInt32(int32(n))
}

// word reads an enum by the word that policies use: EMPLOYMENT_STATE_ACTIVE is active.
func (d *decoder) word(f protoreflect.FieldDescriptor, c cell) protoreflect.Value {
	values := f.Enum().Values()
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	var words []string
	for i := range values.Len() {
		v := values.Get(i)
		word := strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
		if v.Number() == 0 {
			continue
		}
		if word == c.text {
			return protoreflect.ValueOfEnum(v.Number())
		}
		words = append(words, word)
	}
	d.add(c.place, "%s must be one of %s", f.Name(), strings.Join(words, ", "))
	return protoreflect.Value{}
}

// instant reads a time (RFC 3339) or a date. A date that ends something ends it when the day is over.
func (d *decoder) instant(f protoreflect.FieldDescriptor, c cell) protoreflect.Value {
	if t, err := time.Parse(time.RFC3339, c.text); err == nil {
		return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect())
	}
	if _, err := time.Parse(time.DateOnly, c.text); err != nil {
		d.add(c.place, "%s must be a time such as 2026-11-23T08:00:00+01:00 or a date such as 2026-11-23", f.Name())
		return protoreflect.Value{}
	}
	if d.zone == nil {
		d.add(c.place, "%s is a date, and the setting time_zone does not say where", f.Name())
		return protoreflect.Value{}
	}
	day, err := time.ParseInLocation(time.DateOnly, c.text, d.zone)
	if err != nil {
		d.add(c.place, "%s must be a date such as 2026-11-23", f.Name())
		return protoreflect.Value{}
	}
	if f.Name() == "ends_at" || f.Name() == "leave_ends_at" || f.Name() == "leaves_at" {
		day = day.AddDate(0, 0, 1)
	}
	return protoreflect.ValueOfMessage(timestamppb.New(day).ProtoReflect())
}
