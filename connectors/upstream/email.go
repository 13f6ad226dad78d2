package upstream

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Email folds a mail address for comparison and output: surrounding space goes, the rest is brought into
// Unicode normalisation form C, and ASCII letters become lower case. It is empty if the text is no
// single plain address. Letters beyond ASCII keep their case, so that no two different mailboxes become
// equal by a folding rule that mail systems do not share.
func Email(s string) string {
	s = strings.TrimSpace(s)
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || len(s) > 254 || !utf8.ValidString(s) || strings.ContainsFunc(s, alien) ||
		strings.Contains(domain, "@") {
		return ""
	}
	return strings.Map(lowerASCII, norm.NFC.String(s))
}

// alien tells what has no place in an address, and letters that normalisation would turn into ASCII ones,
// such as the Kelvin sign: they could make a stranger's address look like somebody's.
func alien(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),:;<>[\]`, r)
	}
	return !unicode.IsGraphic(r) || unicode.IsSpace(r) || norm.NFC.String(string(r))[0] < utf8.RuneSelf
}

func lowerASCII(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}
