package pagerduty

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// The bounds of classic pagination.
const (
	defaultLimit = 25
	maxLimit     = 100
	maxOffset    = 10_000
)

// query reads the parameters of one request and remembers the first thing that is wrong with them.
type query struct {
	values url.Values
	err    *answer
}

func newQuery(r *http.Request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.refuse("query string cannot be read")
	}
	return q
}

func unescaped(r *http.Request) string {
	text, err := url.QueryUnescape(r.URL.RawQuery)
	if err != nil {
		return r.URL.RawQuery
	}
	return text
}

func (q *query) refuse(reason string) {
	if q.err == nil {
		q.err = refusal(http.StatusBadRequest, 2001, "Invalid Input Provided", reason)
	}
}

// allow refuses every parameter that is not named.
func (q *query) allow(names ...string) {
	for name := range q.values {
		if !slices.Contains(names, name) {
			q.refuse("unknown parameter " + name)
		}
	}
}

// oneOf refuses every value of a parameter that is not among the words.
func (q *query) oneOf(name string, words ...string) {
	for _, value := range q.values[name] {
		if !slices.Contains(words, value) {
			q.refuse(name + " cannot be " + value)
		}
	}
}

// has says whether a filter lets a value pass; a filter that is not given lets everything pass.
func (q *query) has(name, value string) bool {
	wanted := q.values[name]
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

func (q *query) number(name string, otherwise int) int {
	text := q.values.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		q.refuse(name + " must be a number")
		return otherwise
	}
	return n
}

func (q *query) page(name string, all []object) answer {
	limit, offset := q.number("limit", defaultLimit), q.number("offset", 0)
	switch {
	case limit > maxLimit || limit == 0:
		q.refuse("limit must be 1 to 100")
	case limit+offset > maxOffset:
		q.refuse("Offset+limit exceeds maximum allowed value of 10000")
	}
	from := min(offset, len(all))
	to := min(from+limit, len(all))
	some := append([]object{}, all[from:to]...)
	return answer{http.StatusOK, object{name: some, "limit": limit, "offset": offset, "more": to < len(all), "total": nil}}
}
