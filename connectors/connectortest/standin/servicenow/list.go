package servicenow

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const defaultLimit = 10000

// list answers GET /api/now/v2/table/{name}.
func (s *Server) list(w http.ResponseWriter, r *http.Request, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.URL.RequestURI())
	if s.tables[name] == nil {
		refuse(w, http.StatusBadRequest, "Invalid table "+name, "")
		return
	}
	parameters := r.URL.Query()
	result := []map[string]any{}
	for _, row := range s.page(name, parameters) {
		if !s.hidesRow(row) {
			result = append(result, s.show(name, row, parameters))
		}
	}
	write(w, http.StatusOK, map[string]any{"result": result})
}

// page applies query and limit; the access rules come after it.
func (s *Server) page(name string, parameters url.Values) []map[string]string {
	rows := s.find(name, parameters.Get("sysparm_query"))
	limit := defaultLimit
	if n, err := strconv.Atoi(parameters.Get("sysparm_limit")); err == nil && n >= 0 {
		limit = n
	}
	return rows[:min(limit, len(rows))]
}

func (s *Server) hidesRow(row map[string]string) bool {
	for t := s.tables[row["sys_class_name"]]; t != nil; t = s.tables[t.extends] {
		if slices.Contains(t.hiddenRows, row["sys_id"]) {
			return true
		}
	}
	return false
}

// show writes a record with the fields that were asked for and may be read, in the form that was asked
// for. A record of a table that extends the one asked for shows the columns of the latter only.
func (s *Server) show(name string, row map[string]string, parameters url.Values) map[string]any {
	class := row["sys_class_name"]
	shown := map[string]any{}
	for _, field := range s.fields(class, parameters.Get("sysparm_fields")) {
		c := s.walk(class, row, field)
		if !c.readable || !s.has(name, strings.SplitN(field, ".", 2)[0]) {
			continue
		}
		shown[field] = s.form(class, c, parameters)
	}
	return shown
}

func (s *Server) fields(class, asked string) []string {
	if asked != "" {
		return strings.Split(asked, ",")
	}
	var all []string
	for t := s.tables[class]; t != nil; t = s.tables[t.extends] {
		all = append(all, t.columns...)
	}
	return all
}

func (s *Server) form(class string, c cell, parameters url.Values) any {
	reference := target(c.column) != "" && c.value != ""
	link := "https://acme.example/api/now/v2/table/" + target(c.column) + "/" + c.value
	bare := parameters.Get("sysparm_exclude_reference_link") == "true"
	switch parameters.Get("sysparm_display_value") {
	case "all":
		both := map[string]any{"display_value": s.display(class, c), "value": c.value}
		if reference && !bare {
			both["link"] = link
		}
		return both
	case "true":
		if reference && !bare {
			return map[string]any{"display_value": s.display(class, c), "link": link}
		}
		return s.display(class, c)
	default:
		if reference && !bare {
			return map[string]any{"link": link, "value": c.value}
		}
		return c.value
	}
}
