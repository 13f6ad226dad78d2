package callout

import (
	"strconv"
	"strings"
	"time"
)

// maxDuration is the longest duration that Decode accepts. PIM's own longest assignment is a year.
const maxDuration = 366 * 24 * time.Hour

// longestDuration is the longest text of a duration, in bytes.
const longestDuration = 48

// parseDuration reads both forms that Microsoft's services write: Edm.Duration, which is ISO 8601 without
// years and months ("PT8H", "P1DT30M", "PT0.5S"; weeks as in ISO 8601), and .NET's TimeSpan
// ("[d.]hh:mm:ss[.fffffff]"). Zero, negative and longer than 366 days is refused.
func parseDuration(text string) (time.Duration, bool) {
	if len(text) > longestDuration {
		return 0, false
	}
	var total time.Duration
	var ok bool
	if rest, iso := strings.CutPrefix(text, "P"); iso {
		total, ok = parseISO(rest)
	} else {
		total, ok = parseTimeSpan(text)
	}
	if !ok || total <= 0 || total > maxDuration {
		return 0, false
	}
	return total, true
}

// parseISO reads what follows the P: components in the order of their units, each at most once, and a
// fraction on the last at most.
func parseISO(text string) (time.Duration, bool) {
	date, clock, hasClock := strings.Cut(text, "T")
	days, ok := parseComponents(date, "WD")
	if !ok || !hasClock {
		return days, ok && date != ""
	}
	if clock == "" || strings.ContainsAny(date, ".,") {
		return 0, false
	}
	rest, ok := parseComponents(clock, "HMS")
	return days + rest, ok
}

// parseComponents reads numbers with units. The sum cannot overflow: every component is checked against
// maxDuration, and there are five at most.
func parseComponents(text, units string) (time.Duration, bool) {
	var total time.Duration
	for text != "" {
		end := strings.IndexAny(text, units)
		if end < 0 {
			return 0, false
		}
		number, unit := text[:end], text[end]
		text = text[end+1:]
		units = units[strings.IndexByte(units, unit)+1:]
		amount, ok := parseAmount(number, unitOf(unit))
		if !ok || text != "" && strings.ContainsAny(number, ".,") {
			return 0, false
		}
		total += amount
	}
	return total, true
}

func unitOf(letter byte) time.Duration {
	switch letter {
	case 'W':
		return 7 * 24 * time.Hour
	case 'D':
		return 24 * time.Hour
	case 'H':
		return time.Hour
	case 'M':
		return time.Minute
	default:
		return time.Second
	}
}

// parseAmount is a number times a unit, cut to nanoseconds.
func parseAmount(number string, unit time.Duration) (time.Duration, bool) {
	whole, fraction := number, ""
	if point := strings.IndexAny(number, ".,"); point >= 0 {
		whole, fraction = number[:point], number[point+1:]
		if !isDigits(fraction) {
			return 0, false
		}
	}
	n, ok := parseWhole(whole)
	if !ok || n > int64(maxDuration/unit) {
		return 0, false
	}
	billionths, _ := parseWhole((fraction + "000000000")[:9])
	return time.Duration(n)*unit + time.Duration(billionths)*(unit/time.Second), true
}

// parseWhole reads at most 18 digits, which always fit.
func parseWhole(digits string) (int64, bool) {
	if !isDigits(digits) || len(digits) > 18 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// parseTimeSpan reads "[d.]hh:mm:ss[.fffffff]", the constant format of .NET.
func parseTimeSpan(text string) (time.Duration, bool) {
	days := "0"
	if point := strings.IndexByte(text, '.'); point >= 0 && point < strings.IndexByte(text, ':') {
		days, text = text[:point], text[point+1:]
	}
	if len(text) < len("hh:mm:ss") || text[2] != ':' || text[5] != ':' {
		return 0, false
	}
	hours, minutes, seconds := text[:2], text[3:5], text[6:]
	if len(seconds) > 2 && seconds[2] != '.' || strings.ContainsAny(days+hours+minutes, ".,") || strings.Contains(seconds, ",") {
		return 0, false
	}
	if hours > "23" || minutes > "59" || seconds >= "60" || !isDigits(seconds[:2]) {
		return 0, false
	}
	var total time.Duration
	for _, part := range [...]struct {
		number string
		unit   byte
	}{{days, 'D'}, {hours, 'H'}, {minutes, 'M'}, {seconds, 'S'}} {
		amount, ok := parseAmount(part.number, unitOf(part.unit))
		if !ok {
			return 0, false
		}
		total += amount
	}
	return total, true
}
