package callout

import (
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// endTolerance is how far an end may lie from start and duration where a request gives both: services
// that store whole seconds round.
const endTolerance = time.Second

// schedule reads when the access begins and how long it lasts; zero is without end. Giving up access has
// no times worth refusing it for.
func (r *reading) schedule(o strictjson.Object, a *pim.Activation) {
	mine := &reading{arrival: r.arrival}
	info := mine.object(o, "scheduleInfo")
	start, given := mine.instant(info, "startDateTime")
	if !given {
		start = mine.arrival
	}
	expiration := mine.object(info, "expiration")
	duration := mine.expiration(expiration, start)
	a.EndGiven = duration > 0 && mine.text(expiration, "duration") == ""
	if mine.err != nil && a.Action.GivesUpAccess() {
		start, given, duration, a.EndGiven = mine.arrival, false, 0, false
		mine.err = nil
	}
	r.keep(mine.err)
	a.StartsAt, a.StartsOnArrival, a.Duration = start, !given, duration
}

// expiration reads a requestSchedule's expirationPattern, Graph's and ARM's. Both members are read even
// where the type says that they do not count.
func (r *reading) expiration(o strictjson.Object, start time.Time) time.Duration {
	duration := r.duration(o, "duration")
	if end, given := r.instant(o, "endDateTime"); given {
		duration = r.upTo(o, end.Sub(start), duration)
	}
	kind := r.text(o, "type")
	switch {
	case kind == "":
		return duration
	case strictjson.EqualASCII(kind, "noExpiration"), strictjson.EqualASCII(kind, "notSpecified"):
		return 0
	case strictjson.EqualASCII(kind, "afterDuration"):
		if r.text(o, "duration") == "" {
			r.fail(o, "duration", "is missing")
		}
		return duration
	case strictjson.EqualASCII(kind, "afterDateTime"):
		if r.text(o, "endDateTime") == "" {
			r.fail(o, "endDateTime", "is missing")
		}
		return duration
	default:
		r.fail(o, "type", "is not a known kind of expiration")
		return 0
	}
}

// upTo is the duration until an end, which must agree with the duration that is given, if one is.
func (r *reading) upTo(o strictjson.Object, untilEnd, given time.Duration) time.Duration {
	switch {
	case untilEnd <= 0:
		r.fail(o, "endDateTime", "is not after the start")
	case untilEnd > maxDuration:
		r.fail(o, "endDateTime", "is more than 366 days after the start")
	case given != 0 && (given-untilEnd).Abs() > endTolerance:
		r.fail(o, "endDateTime", "and duration contradict each other")
	}
	return max(untilEnd, given)
}

// duration is zero for an absent member.
func (r *reading) duration(o strictjson.Object, name string) time.Duration {
	text := r.text(o, name)
	if text == "" {
		return 0
	}
	d, ok := parseDuration(text)
	if !ok {
		r.fail(o, name, "is not a duration of more than zero and at most 366 days")
	}
	return d
}

// instant reads an Edm.DateTimeOffset.
func (r *reading) instant(o strictjson.Object, name string) (time.Time, bool) {
	text := r.text(o, name)
	if text == "" {
		return time.Time{}, false
	}
	t, ok := parseInstant(text)
	if !ok {
		r.fail(o, name, "is not a date and time with an offset")
	}
	return t, ok
}

// parseInstant reads RFC 3339 with any number of fraction digits, in UTC and cut to nanoseconds. Unlike
// time.Parse it wants two digits everywhere and a point before the fraction.
func parseInstant(text string) (time.Time, bool) {
	const layout = "2006-01-02T15:04:05"
	if len(text) < len(layout)+1 || len(text) > 64 || !isDigits(text[:4]) || text[:4] == "0000" {
		return time.Time{}, false
	}
	rest := text[len(layout):]
	if fraction, found := strings.CutPrefix(rest, "."); found {
		rest = strings.TrimLeft(fraction, "0123456789")
		if len(rest) == len(fraction) {
			return time.Time{}, false
		}
	}
	if rest != "Z" && !isOffset(rest) {
		return time.Time{}, false
	}
	if !isDigits(text[11:13]) { // time.Parse takes one digit for an hour
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return t.UTC(), err == nil
}

// isOffset accepts what Edm.DateTimeOffset allows: up to 14 hours either way.
func isOffset(text string) bool {
	return len(text) == len("+00:00") && (text[0] == '+' || text[0] == '-') && text[3] == ':' &&
		isDigits(text[1:3]) && isDigits(text[4:]) && text[1:3] <= "14" && text[4:] <= "59"
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}
