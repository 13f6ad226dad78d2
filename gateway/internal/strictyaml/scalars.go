package strictyaml

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (d *Document) decodeString(c cursor, v reflect.Value) {
	if c.node.kind != text {
		remedy := ""
		if c.node.scalar() {
			remedy = "quote it"
		}
		d.wants(c, text.String(), remedy)
		return
	}
	if w, ok := reflect.TypeAssert[Worder](v); ok && !slices.Contains(w.Words(), c.node.text) {
		d.problem(c, "is not one of the words that can stand here", remedyForWord(c.node.text, w.Words()))
		return
	}
	v.SetString(c.node.text)
}

func (d *Document) decodeBool(c cursor, v reflect.Value) {
	switch {
	case c.node.kind == boolean && c.node.text == "true":
		v.SetBool(true)
	case c.node.kind == boolean && c.node.text == "false":
		v.SetBool(false)
	case c.node.kind == boolean:
		d.problem(c, "is spelled in capitals", "write true or false")
	case c.node.kind == text && c.node.style != plain:
		d.wants(c, boolean.String(), "remove the quotes")
	default:
		d.wants(c, boolean.String(), "write true or false")
	}
}

func (d *Document) decodeInt(c cursor, v reflect.Value) {
	number, ok := d.integer(c)
	if !ok {
		return
	}
	if v.OverflowInt(number) {
		highest := int64(math.MaxInt64) >> (64 - v.Type().Bits())
		d.outOfRange(c, strconv.FormatInt(-highest-1, 10), strconv.FormatInt(highest, 10))
		return
	}
	v.SetInt(number)
}

func (d *Document) decodeUint(c cursor, v reflect.Value) {
	number, ok := d.integer(c)
	if !ok {
		return
	}
	if number < 0 || v.OverflowUint(uint64(number)) {
		highest := min(uint64(math.MaxInt64), uint64(math.MaxUint64)>>(64-v.Type().Bits()))
		d.outOfRange(c, "0", strconv.FormatUint(highest, 10))
		return
	}
	v.SetUint(uint64(number))
}

func (d *Document) outOfRange(c cursor, lowest, highest string) {
	d.problem(c, "is out of range", fmt.Sprintf("write a number from %s to %s", lowest, highest))
}

// integer reads a whole number. A leading zero means octal to YAML 1.1 and nothing to YAML 1.2.
func (d *Document) integer(c cursor) (int64, bool) {
	switch {
	case c.node.kind == text && c.node.style != plain:
		d.wants(c, integer.String(), "remove the quotes")
		return 0, false
	case c.node.kind != integer:
		d.wants(c, integer.String(), "write digits only")
		return 0, false
	}
	number, err := parseInteger(c.node.text)
	if err != nil {
		d.problem(c, err.Message, err.Remedy)
		return 0, false
	}
	return number, true
}

func parseInteger(written string) (int64, *Flaw) {
	digits := strings.TrimLeft(written, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return 0, &Flaw{Message: "has a leading zero, which some readers take for octal", Remedy: "remove the zero, or quote it if it is text"}
	}
	number, err := strconv.ParseInt(written, 0, 64)
	if err != nil {
		return 0, &Flaw{Message: "is out of range", Remedy: "write a number that fits in 64 bits, or quote it if it is text"}
	}
	return number, nil
}

func (d *Document) decodeFloat(c cursor, v reflect.Value) {
	switch {
	case c.node.kind == text && c.node.style != plain:
		d.wants(c, float.String(), "remove the quotes")
		return
	case c.node.kind != integer && c.node.kind != float:
		d.wants(c, float.String(), "write a number such as 0.65")
		return
	}
	number, ok := parseFloat(c.node.text)
	if !ok || v.OverflowFloat(number) {
		d.problem(c, "is out of range", "write a finite decimal number")
		return
	}
	v.SetFloat(number)
}

// parseFloat refuses infinities and what is no number.
func parseFloat(written string) (float64, bool) {
	number, err := strconv.ParseFloat(written, 64)
	return number, err == nil && !math.IsInf(number, 0) && !math.IsNaN(number)
}

func (d *Document) decodeDuration(c cursor, v reflect.Value) {
	const example = "write a time span such as 10s, 500ms or 1h30m"
	if !c.node.scalar() || c.node.kind == boolean {
		d.wants(c, "a time span", example)
		return
	}
	duration, err := time.ParseDuration(c.node.text)
	if err != nil {
		message := "is no time span"
		if c.node.kind == integer || c.node.kind == float {
			message = "is a time span without a unit"
		}
		d.problem(c, message, example)
		return
	}
	v.SetInt(int64(duration))
}

// free decodes what has no type of its own.
func (d *Document) free(c cursor) any {
	switch c.node.kind {
	case boolean:
		return strings.EqualFold(c.node.text, "true")
	case integer:
		number, flaw := parseInteger(c.node.text)
		if flaw != nil {
			d.problem(c, flaw.Message, flaw.Remedy)
			return nil
		}
		return number
	case float:
		number, ok := parseFloat(c.node.text)
		if !ok {
			d.problem(c, "is out of range", "write a finite decimal number, or quote it if it is text")
			return nil
		}
		return number
	case text:
		return c.node.text
	case list, mapping:
		return d.freeCollection(c)
	case null, refused:
	}
	return nil
}

func (d *Document) freeCollection(c cursor) any {
	if c.node.kind == list {
		out := make([]any, len(c.node.items))
		for i := range c.node.items {
			out[i] = d.free(c.item(i))
		}
		return out
	}
	out := make(map[string]any, len(c.node.members))
	for _, m := range d.named(c) {
		out[m.key.text] = d.free(c.member(m))
	}
	return out
}
