package callout

import (
	"strings"
	"unicode"
)

// longestScope bounds identifiers that are paths, in bytes. ARM's own limit of a resource id is below.
const longestScope = 2048

// RoleID reduces a role definition id to its GUID in lower case. It takes the bare GUID and an ARM id
// that ends in /providers/Microsoft.Authorization/roleDefinitions/{guid}, at whatever scope.
func RoleID(text string) (string, bool) {
	if isGUID(text) {
		return strings.ToLower(text), true
	}
	path, ok := normalPath(text)
	if !ok {
		return "", false
	}
	cut := strings.LastIndexByte(path, '/')
	if !strings.HasSuffix(path[:cut], "/providers/microsoft.authorization/roledefinitions") || !isGUID(path[cut+1:]) {
		return "", false
	}
	return path[cut+1:], true
}

// DirectoryScope brings the scope of an Entra role to its normal form: "/" for the tenant,
// "/administrativeunits/{guid}" or "/{guid}" for one object.
func DirectoryScope(text string) (string, bool) {
	if text == "/" {
		return "/", true
	}
	path, ok := normalPath(text)
	if !ok {
		return "", false
	}
	id, unit := strings.CutPrefix(path, "/administrativeunits/")
	if !unit {
		id = path[1:]
	}
	return path, isGUID(id)
}

// AppScope brings the application scope of an Entra role to its normal form, which begins with "app:" so
// that it can never be taken for a directory scope.
func AppScope(text string) (string, bool) {
	if text == "/" {
		return "app:/", true
	}
	path, ok := normalPath(text)
	return "app:" + path, ok
}

// ARMScope brings an Azure scope to its normal form: "/", "/subscriptions/{guid}" and what is below, or
// "/providers/microsoft.management/managementgroups/{name}". The old spelling
// "providers/Microsoft.Subscription/subscriptions/{id}" of the PIM API becomes "/subscriptions/{id}".
func ARMScope(text string) (string, bool) {
	if text == "/" {
		return "/", true
	}
	path, ok := normalPath(text)
	if !ok {
		return "", false
	}
	if short, legacy := strings.CutPrefix(path, "/providers/microsoft.subscription/subscriptions/"); legacy {
		path = "/subscriptions/" + short
	}
	if rest, found := strings.CutPrefix(path, "/subscriptions/"); found {
		subscription, _, _ := strings.Cut(rest, "/")
		return path, isGUID(subscription)
	}
	return path, strings.HasPrefix(path, "/providers/")
}

// normalPath is lower case with one slash in front and none behind. It refuses what two readers could
// understand differently: escapes, empty segments, dot segments, blanks and lookalikes of ASCII.
func normalPath(text string) (string, bool) {
	if len(text) > longestScope {
		return "", false
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "/"), "/")
	plain := true
	lowered := strings.Map(func(r rune) rune {
		small := unicode.ToLower(r)
		plain = plain && isPathRune(r, small)
		return small
	}, text)
	if !plain {
		return "", false
	}
	for segment := range strings.SplitSeq(lowered, "/") {
		if strings.Trim(segment, ".") == "" {
			return "", false
		}
	}
	return "/" + lowered, true
}

// isPathRune allows what the names of Azure resources may have. Letters outside ASCII are letters of
// resource group names, unless their lower case is an ASCII letter: the Kelvin sign is no k.
func isPathRune(r, small rune) bool {
	switch r {
	case '%', '\\', '"', '?', '#', '<', '>', '*':
		return false
	}
	if r < 0x80 {
		return r > ' ' && r < 0x7f
	}
	return small >= 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) && r != unicode.ReplacementChar
}

// isGUID accepts the 36 character form of RFC 9562 in ASCII, either case.
func isGUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		if !isGUIDByte(text[i], i) {
			return false
		}
	}
	return true
}

func isGUIDByte(c byte, at int) bool {
	switch at {
	case 8, 13, 18, 23:
		return c == '-'
	default:
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
}
