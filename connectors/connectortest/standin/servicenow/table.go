package servicenow

import (
	"slices"
	"strings"
	"time"
)

// table is one table: its own columns, the table it extends, and its records.
type table struct {
	extends       string
	columns       []string
	rows          []map[string]string
	hiddenColumns []string
	hiddenRows    []string
}

func freshTables() map[string]*table {
	of := func(extends, columns string) *table {
		return &table{extends: extends, columns: strings.Fields(columns)}
	}
	return map[string]*table{
		"task": of("", `sys_id sys_class_name number state approval active priority short_description opened_at closed_at
			sys_updated_on opened_by assigned_to assignment_group cmdb_ci`),
		"incident": of("task", "caller_id hold_reason severity impact urgency"),
		"change_request": of("task", `type risk phase on_hold start_date end_date requested_by conflict_status
			outside_maintenance_schedule unauthorized`),
		"change_task":       of("task", "change_request on_hold planned_start_date planned_end_date"),
		"problem":           of("task", "known_error"),
		"problem_task":      of("task", "problem"),
		"sc_request":        of("task", "requested_for request_state stage"),
		"sc_req_item":       of("task", "requested_for request stage configuration_item"),
		"sc_task":           of("task", "request_item request"),
		"sys_user":          of("", "sys_id name user_name email active user_password"),
		"sys_user_group":    of("", "sys_id name"),
		"cmdb_ci":           of("", "sys_id name sys_class_name"),
		"cmn_schedule":      of("", "sys_id name"),
		"sys_user_grmember": of("", "sys_id user group"),
	}
}

// has says whether a table, or one that it extends, has a column.
func (s *Server) has(tableName, column string) bool {
	for t := s.tables[tableName]; t != nil; t = s.tables[t.extends] {
		if slices.Contains(t.columns, column) {
			return true
		}
	}
	return false
}

func (s *Server) hidesColumn(tableName, column string) bool {
	for t := s.tables[tableName]; t != nil; t = s.tables[t.extends] {
		if slices.Contains(t.hiddenColumns, column) {
			return true
		}
	}
	return false
}

func (s *Server) extends(tableName, ancestor string) bool {
	for name := tableName; name != ""; name = s.tables[name].extends {
		if name == ancestor {
			return true
		}
	}
	return false
}

// rowsOf are the records of a table and of every table that extends it.
func (s *Server) rowsOf(tableName string) []map[string]string {
	var rows []map[string]string
	for name, t := range s.tables {
		if s.extends(name, tableName) {
			rows = append(rows, t.rows...)
		}
	}
	slices.SortFunc(rows, func(a, b map[string]string) int {
		return strings.Compare(a["number"]+a["sys_id"], b["number"]+b["sys_id"])
	})
	return rows
}

// target is the table that a reference column points to; empty for a plain column.
func target(column string) string {
	switch column {
	case "requested_by", "requested_for", "caller_id", "assigned_to", "opened_by", "user":
		return "sys_user"
	case "assignment_group", "group":
		return "sys_user_group"
	case "cmdb_ci", "configuration_item":
		return "cmdb_ci"
	case "request_item":
		return "sc_req_item"
	case "change_request", "problem":
		return column
	case "request":
		return "sc_request"
	default:
		return ""
	}
}

func (s *Server) bySysID(tableName, sysID string) map[string]string {
	for _, row := range s.rowsOf(tableName) {
		if row["sys_id"] == sysID {
			return row
		}
	}
	return nil
}

// cell is a column of a record, dot-walked if it has dots: the value, the column it ends at, and whether
// there is such a column that may be read.
type cell struct {
	value, column string
	readable      bool
}

func (s *Server) walk(tableName string, row map[string]string, path string) cell {
	column, rest, dotted := strings.Cut(path, ".")
	if !s.has(tableName, column) || s.hidesColumn(tableName, column) {
		return cell{}
	}
	if !dotted {
		return cell{value: row[column], column: column, readable: true}
	}
	to := target(column)
	if to == "" {
		return cell{}
	}
	if row[column] == "" {
		return cell{column: rest, readable: s.has(to, strings.SplitN(rest, ".", 2)[0])}
	}
	return s.walk(to, s.bySysID(to, row[column]), rest)
}

// display is what a person sees of a value.
func (s *Server) display(class string, c cell) string {
	if to := target(c.column); to != "" {
		return s.bySysID(to, c.value)[nameColumn(to)]
	}
	if at, err := time.ParseInLocation(time.DateTime, c.value, time.UTC); err == nil {
		return at.In(s.Zone).Format(s.DateFormat)
	}
	if label, ok := s.labels[class+"."+c.column+"."+c.value]; ok {
		return label
	}
	if label, ok := s.labels[c.column+"."+c.value]; ok {
		return label
	}
	return c.value
}

func nameColumn(tableName string) string {
	switch tableName {
	case "sys_user", "sys_user_group", "cmdb_ci":
		return "name"
	default:
		return "number"
	}
}

// freshLabels are the choices of a fresh installation that the tests see.
func freshLabels() map[string]string {
	return map[string]string{
		"incident.state.1": "New", "incident.state.2": "In Progress", "incident.state.3": "On Hold", "incident.state.6": "Resolved",
		"incident.state.7": "Closed", "incident.state.8": "Canceled",
		"change_request.state.-5": "New", "change_request.state.-4": "Assess", "change_request.state.-3": "Authorize",
		"change_request.state.-2": "Scheduled", "change_request.state.-1": "Implement", "change_request.state.0": "Review",
		"change_request.state.3": "Closed", "change_request.state.4": "Canceled",
		"state.-5": "Pending", "state.1": "Open", "state.2": "Work in Progress", "state.3": "Closed Complete",
		"approval.not requested": "Not Yet Requested", "approval.requested": "Requested", "approval.approved": "Approved",
		"approval.rejected": "Rejected",
		"priority.1":        "1 - Critical", "priority.2": "2 - High", "priority.3": "3 - Moderate", "priority.4": "4 - Low",
		"type.standard": "Standard", "type.normal": "Normal", "type.emergency": "Emergency",
		"sys_class_name.change_request": "Change Request", "sys_class_name.incident": "Incident",
	}
}
