package servicenow

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// find evaluates an encoded query over a table: groups joined by ^NQ are alternatives, terms joined by ^
// must all hold, ^OR adds an alternative to the term before it. A term that is not understood, such as
// one with a column that does not exist, is ignored, so that it widens the answer.
func (s *Server) find(tableName, encoded string) []map[string]string {
	var found []map[string]string
	groups := strings.Split(encoded, "^NQ")
	for _, row := range s.rowsOf(tableName) {
		if slices.ContainsFunc(groups, func(group string) bool { return s.matches(tableName, row, group) }) {
			found = append(found, row)
		}
	}
	order(found, encoded)
	return found
}

func (s *Server) matches(tableName string, row map[string]string, group string) bool {
	finished, term := true, true // All terms so far; the term at hand with its alternatives.
	for part := range strings.SplitSeq(group, "^") {
		text, alternative := strings.CutPrefix(part, "OR")
		alternative = alternative && !strings.HasPrefix(part, "ORDERBY")
		if !alternative {
			text = part
		}
		holds, valid := s.holds(tableName, row, text)
		switch {
		case !valid:
		case alternative:
			term = term || holds
		default:
			finished, term = finished && term, holds
		}
	}
	return finished && term
}

// termForm is one term of an encoded query: field, operator, value.
var termForm = regexp.MustCompile(`^([a-z_][a-z_.0-9]*)(!=|>=|<=|=|>|<|NOT LIKE|LIKE|STARTSWITH|ENDSWITH|ISNOTEMPTY|ISEMPTY|IN)(.*)$`)

// holds evaluates one term; it is not valid if it is no term.
func (s *Server) holds(tableName string, row map[string]string, text string) (holds, valid bool) {
	term := termForm.FindStringSubmatch(text)
	if term == nil {
		return false, false
	}
	c := s.walk(tableName, row, term[1])
	if c.column == "" {
		return false, false
	}
	return compare(strings.ToLower(c.value), term[2], strings.ToLower(s.evaluate(term[3]))), true
}

// quotedForm is a quoted text of a script.
var quotedForm = regexp.MustCompile(`^['"](.*)['"]$`)

// evaluate runs the scripts that values may hold, as far as this instance understands them.
func (s *Server) evaluate(value string) string {
	script, ok := strings.CutPrefix(value, "javascript:")
	if !ok {
		return value
	}
	if quoted := quotedForm.FindStringSubmatch(strings.TrimSpace(script)); quoted != nil {
		return quoted[1]
	}
	if strings.Contains(script, "gs.getUserID()") {
		if users := s.tables["sys_user"].rows; len(users) > 0 {
			return users[0]["sys_id"]
		}
	}
	return ""
}

// compare is not sensitive to case, as the database is not.
func compare(have, operator, want string) bool {
	switch operator {
	case "=":
		return have == want
	case "!=":
		return have != want
	case "LIKE":
		return strings.Contains(have, want)
	case "NOT LIKE":
		return !strings.Contains(have, want)
	case "STARTSWITH":
		return strings.HasPrefix(have, want)
	case "ENDSWITH":
		return strings.HasSuffix(have, want)
	case "ISEMPTY":
		return have == ""
	case "ISNOTEMPTY":
		return have != ""
	case "IN":
		return slices.Contains(strings.Split(want, ","), have)
	default:
		return inOrder(have, operator, want)
	}
}

func inOrder(have, operator, want string) bool {
	c := strings.Compare(have, want)
	a, errA := strconv.Atoi(have)
	b, errB := strconv.Atoi(want)
	if errA == nil && errB == nil {
		c = cmp.Compare(a, b)
	}
	switch operator {
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	case "<":
		return c < 0
	default:
		return c <= 0
	}
}

// orderForm is the order that an encoded query asks for.
var orderForm = regexp.MustCompile(`(?:^|\^)ORDERBY(DESC)?([a-z_]+)`)

func order(rows []map[string]string, encoded string) {
	by := orderForm.FindStringSubmatch(encoded)
	if by == nil {
		return
	}
	slices.SortStableFunc(rows, func(a, b map[string]string) int {
		if by[1] == "DESC" {
			a, b = b, a
		}
		return strings.Compare(a[by[2]], b[by[2]])
	})
}
