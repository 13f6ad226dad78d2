package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// object is a JSON object whose members keep their order: the bodies that PIM sends have one, and a
// reader that depends on another order should show it here.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeMember(&b, m); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func writeMember(b *bytes.Buffer, m member) error {
	name, err := json.Marshal(m.name)
	if err != nil {
		return fmt.Errorf("member %q: %w", m.name, err)
	}
	value, err := json.Marshal(m.value)
	if err != nil {
		return fmt.Errorf("member %q: %w", m.name, err)
	}
	b.Write(name)
	b.WriteByte(':')
	b.Write(value)
	return nil
}

// with returns the object with one member set, in its old place if it has one.
func (o object) with(name string, value any) object {
	at := o.index(name)
	if at < 0 {
		return append(slices.Clone(o), member{name, value})
	}
	changed := slices.Clone(o)
	changed[at].value = value
	return changed
}

// without returns the object without the named members.
func (o object) without(names ...string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return slices.Contains(names, m.name) })
}

func (o object) index(name string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.name == name })
}
