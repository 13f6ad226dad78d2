package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// ranges checks every field that has the tag `range:"lowest..highest"`.
func (k *checker) ranges() { k.rangesOf("", reflect.ValueOf(k.config).Elem()) }

func (k *checker) rangesOf(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			k.rangesOf(path, v.Elem())
		}
	case reflect.Map:
		k.rangesOfMap(path, v)
	case reflect.Struct:
		for field, value := range v.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			if name == "" {
				continue
			}
			k.inRange(strictyaml.Join(path, name), field.Tag.Get("range"), value)
			k.rangesOf(strictyaml.Join(path, name), value)
		}
	default:
	}
}

func (k *checker) rangesOfMap(path string, v reflect.Value) {
	if v.Type().Elem().Kind() != reflect.Struct {
		return
	}
	for key, value := range v.Seq2() {
		k.rangesOf(strictyaml.Join(path, key.String()), value)
	}
}

func (k *checker) inRange(path, limits string, v reflect.Value) {
	lowest, highest, ok := strings.Cut(limits, "..")
	if !ok {
		return
	}
	if number := magnitude(v); number < bound(v.Type(), lowest) || number > bound(v.Type(), highest) {
		k.report(path, "is out of range", fmt.Sprintf("from %s to %s", lowest, highest))
	}
}

// magnitude is a number of any kind; 2^53 is far beyond every range.
func magnitude(v reflect.Value) float64 {
	if v.CanFloat() {
		return v.Float()
	}
	return float64(v.Int())
}

// bound reads one end of a range as the type it bounds. A tag that cannot be read is a mistake of the
// program.
func bound(t reflect.Type, text string) float64 {
	var number float64
	var err error
	switch t {
	case reflect.TypeFor[time.Duration]():
		var d time.Duration
		d, err = time.ParseDuration(text)
		number = float64(d)
	case reflect.TypeFor[Size]():
		var s Size
		s, err = parseSize(text)
		number = float64(s)
	default:
		number, err = strconv.ParseFloat(text, 64)
	}
	if err != nil {
		panic("config: range tag " + text + ": " + err.Error())
	}
	return number
}
