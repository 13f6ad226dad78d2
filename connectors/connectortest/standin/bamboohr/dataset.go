package bamboohr

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// columns are the names that the dataset has for fields of an employee record.
func columns() map[string]string {
	return map[string]string{
		"eeid": "id", "email": "workEmail", "employeeNumber": "employeeNumber", "status": "status", "hireDate": "hireDate",
	}
}

type datasetRequest struct {
	Fields   []string `json:"fields"`
	Filter   *string  `json:"filter"`
	OrderBy  string   `json:"orderBy"`
	Page     int      `json:"page"`
	PageSize int      `json:"pageSize"`
}

// dataset answers POST /api/v2/datasets/employee/data. It does not filter: a client that needs a filter
// would need its quoting rules, which are not published.
func (s *Server) dataset(w http.ResponseWriter, r *http.Request) {
	if !knows(w, r) {
		return
	}
	q := datasetRequest{Page: 1, PageSize: defaultPageSize}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil || r.Header.Get("Content-Type") != "application/json" {
		problem(w, http.StatusBadRequest, "the body cannot be read")
		return
	}
	order, _, _ := strings.Cut(q.OrderBy, " ")
	switch {
	case q.Filter != nil:
		problem(w, http.StatusUnprocessableEntity, "INVALID_FILTER")
	case q.Page < 1 || q.PageSize < 1 || q.PageSize > maxPageSize:
		problem(w, http.StatusUnprocessableEntity, "page or pageSize out of range")
	case len(q.Fields) == 0 || slices.ContainsFunc(q.Fields, func(f string) bool { return columns()[f] == "" }):
		problem(w, http.StatusBadRequest, "unknown field")
	case order != "" && !slices.Contains(q.Fields, order):
		problem(w, http.StatusBadRequest, "UE-1001")
	default:
		send(w, s.page(q))
	}
}

func (s *Server) page(q datasetRequest) object {
	var rows []object
	for _, e := range s.employees {
		if !e.Invisible {
			rows = append(rows, e.row(q.Fields))
		}
	}
	pages := (len(rows) + q.PageSize - 1) / q.PageSize
	from := min((q.Page-1)*q.PageSize, len(rows))
	to := min(from+q.PageSize, len(rows))
	links := object{}
	if to < len(rows) {
		links["next"] = object{"href": "/api/v2/datasets/employee/data"}
	}
	return object{
		"data": append([]object{}, rows[from:to]...), "links": links,
		"meta": object{"page": q.Page, "pageSize": q.PageSize, "totalPages": pages, "totalItems": len(rows)},
	}
}

// row has every field that was asked for; those that may not be viewed are empty and named.
func (e *Employee) row(names []string) object {
	fields, restricted := object{}, []string{}
	for _, name := range names {
		column := columns()[name]
		switch {
		case column == "id":
			fields[name] = e.ID
		case slices.Contains(e.Hidden, column):
			fields[name] = ""
			restricted = append(restricted, name)
		default:
			fields[name] = e.Fields[column]
		}
	}
	return object{"fields": fields, "_restrictedFields": restricted}
}
