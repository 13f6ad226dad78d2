package reason

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLength is the bound of one reason, in characters.
const MaxLength = 200

// Plain is text that cannot do anything but be read: control, bidirectional and invisible characters
// are gone, white space is folded, and what is longer than MaxLength ends in an ellipsis.
func Plain(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	gap := false
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			gap = b.Len() > 0
			continue
		case !readable(r):
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return cut(b.String())
}

// readable is false for characters without a shape of their own: controls (Cc), formats such as
// U+202E and U+200B (Cf), surrogates (Cs), private use (Co), and the replacement of invalid UTF-8.
func readable(r rune) bool {
	return r != utf8.RuneError && !unicode.Is(unicode.C, r) && !unicode.Is(unicode.Variation_Selector, r)
}

func cut(text string) string {
	if utf8.RuneCountInString(text) <= MaxLength {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:MaxLength-1]), " ") + "…"
}
