package fleet

import (
	"strings"
	"unicode"

	"google.golang.org/grpc/status"
)

// detail is a gRPC error's own sentence without the framing.
func detail(err error) string { return status.Convert(err).Message() }

// bounded makes a connector's words fit for one line of a log: no control characters, at most 300
// characters.
func bounded(text string) string {
	const most = 300
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(clean); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return clean
}
