package strictjson

import "strings"

// Error says which member of a document is wrong and how. Its text is plain ASCII, bounded and without
// any value of the document, so that it may be logged and shown.
type Error struct {
	// Path names the member, such as "scheduleInfo.expiration.type"; empty for the document itself.
	Path string
	// Problem completes the sentence that begins with the member, such as "is not a string".
	Problem string
}

// Error is the sentence without its full stop.
func (e *Error) Error() string {
	if e.Path == "" {
		return "the document " + e.Problem
	}
	return e.Path + " " + e.Problem
}

// Longest parts of a path that are printed, in bytes.
const (
	longestName = 64
	longestPath = 200
)

// Printable reduces a member name to what may be printed: at most 64 bytes of ASCII without blanks,
// every other rune, and no name at all, a question mark.
func Printable(name string) string {
	if name == "" {
		return "?"
	}
	clean := true
	for i := range len(name) {
		clean = clean && isPrintable(rune(name[i]))
	}
	if clean && len(name) <= longestName {
		return name
	}
	return strings.Map(func(r rune) rune {
		if isPrintable(r) {
			return r
		}
		return '?'
	}, name[:min(len(name), longestName)])
}

func isPrintable(r rune) bool { return r > ' ' && r < 0x7f && r != '"' && r != '\\' }
