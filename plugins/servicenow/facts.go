package main

import (
	"context"
	"regexp"
	"slices"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	servicenowv1 "github.com/countersign/countersign/proto/countersign/plugins/servicenow/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// fields are the columns that are asked for. A column that the table does not have is left out of the
// answer by the instance, without an error.
func (i *instance) fields(table string) []string {
	fields := []string{
		"sys_id", "number", "sys_class_name", "state", "approval", "active", "on_hold", "priority", "short_description",
		"opened_at", "sys_updated_on", "closed_at", "cmdb_ci", "cmdb_ci.name", "assignment_group", "assignment_group.name",
	}
	c := classOf(table)
	if c.isChange() {
		fields = append(fields, "type", "risk")
	}
	if c.windowStart != "" {
		fields = append(fields, c.windowStart, c.windowEnd)
	}
	for _, person := range []string{"opened_by", "assigned_to", c.requester} {
		if person != "" && !slices.Contains(fields, person) {
			fields = append(fields, person, person+".email", person+".user_name")
		}
	}
	return fields
}

// facts turns a record into an answer. A field that is missing from the record stays unknown: that is how
// a column looks that the integration account may not read.
func (i *instance) facts(ctx context.Context, row record, table *servicenowv1.Table, number string) *ticketv1.GetTicketResponse {
	name, classKnown := meaning(row, table)
	c := classOf(name)
	resp := &ticketv1.GetTicketResponse{
		Number:      &number,
		Active:      row.cell("active").flag(),
		Approval:    approvalOf(row.cell("approval")),
		RawApproval: row.cell("approval").label(),
		Status:      i.statusOf(name, row.cell("state")),
		RawStatus:   row.cell("state").label(),
		Priority:    row.cell("priority").within(5),
		Title:       row.cell("short_description").text(),
		OpenedAt:    row.cell("opened_at").instant(),
		UpdatedAt:   row.cell("sys_updated_on").instant(),
		ClosedAt:    row.cell("closed_at").instant(),
		Url:         i.link(row, name),
	}
	if classKnown {
		resp.Kind = c.kind.Enum()
	}
	resp.OnHold = onHold(row.cell("on_hold"), c, resp.Status)
	none(ctx, row, map[string]string{
		"approval": "approval", "priority": "priority", "short_description": "title", "closed_at": "closed_at",
	})
	if row.cell("approval").empty() {
		finding.None(ctx, "raw_approval")
	}
	i.things(ctx, row, resp)
	i.people(ctx, row, c, resp)
	planned(ctx, row, c, resp)
	return resp
}

// meaning is the class by which a record is read: its own, or that of the table for a class that the
// operator has put on a level with it. It is not known if the record hides its class.
func meaning(row record, table *servicenowv1.Table) (name string, known bool) {
	class, known := row.cell("sys_class_name").known()
	if !known || slices.Contains(table.GetClasses(), class) {
		return table.GetTable(), known
	}
	return class, known
}

// none declares the facts of readable, empty columns.
func none(ctx context.Context, row record, factOf map[string]string) {
	for column, fact := range factOf {
		if row.cell(column).empty() {
			finding.None(ctx, fact)
		}
	}
}

// statusOf leaves a value that nobody has given a meaning unknown: instances add states of their own.
func (i *instance) statusOf(name string, state cell) *ticketv1.TicketStatus {
	value, ok := state.known()
	if !ok {
		return nil
	}
	if status, ok := i.states[name][value]; ok {
		return &status
	}
	if status, ok := classOf(name).states[value]; ok {
		return &status
	}
	return nil
}

// onHold is a column of changes. Other classes say it with their state.
func onHold(column cell, c class, status *ticketv1.TicketStatus) *bool {
	if c.isChange() || column.readable {
		return column.flag()
	}
	if status == nil {
		return nil
	}
	return new(*status == ticketv1.TicketStatus_TICKET_STATUS_PENDING)
}

// sysID is the form of a sys_id.
var sysID = regexp.MustCompile(`\A[0-9a-f]{32}\z`)

// link leads to the record's form, whose address is made of the class and the sys_id.
func (i *instance) link(row record, name string) *string {
	id, ok := row.cell("sys_id").known()
	if !ok || !sysID.MatchString(id) || !isName(name) {
		return nil
	}
	return new(i.base + "/" + name + ".do?sys_id=" + id)
}

// things reads configuration item and group. The record names one configuration item; further ones are
// in a table of their own, so that an empty column does not mean that there are none.
func (i *instance) things(ctx context.Context, row record, resp *ticketv1.GetTicketResponse) {
	if item, ok := row.cell("cmdb_ci.name").known(); ok {
		resp.ConfigurationItems = []string{item}
	}
	if _, ok := row.cell("assignment_group").known(); ok {
		resp.AssignmentGroup = row.cell("assignment_group.name").text()
	}
	none(ctx, row, map[string]string{"assignment_group": "assignment_group"})
}

func (i *instance) people(ctx context.Context, row record, c class, resp *ticketv1.GetTicketResponse) {
	resp.OpenedByEmail = i.address(row, "opened_by")
	resp.AssigneeEmail = i.address(row, "assigned_to")
	resp.AssigneeLogin = login(row, "assigned_to")
	none(ctx, row, map[string]string{"opened_by": "opened_by_email"})
	if row.cell("assigned_to").empty() {
		finding.None(ctx, "assignee_email", "assignee_login")
	}
	if c.requester == "" {
		return
	}
	resp.RequesterEmail = i.address(row, c.requester)
	resp.RequesterLogin = login(row, c.requester)
	if row.cell(c.requester).empty() {
		finding.None(ctx, "requester_email", "requester_login")
	}
}

// address is the key of a person, taken from the column that the operator chose. A person without one, or
// with one that is hidden, is somebody of whom nothing is known, not nobody.
func (i *instance) address(row record, reference string) *string {
	column := reference + ".email"
	if i.peopleKey == servicenowv1.PeopleKey_PEOPLE_KEY_USER_NAME {
		column = reference + ".user_name"
	}
	if _, ok := row.cell(reference).known(); !ok {
		return nil
	}
	value, _ := row.cell(column).known()
	if email := upstream.Email(value); email != "" {
		return &email
	}
	return nil
}

func login(row record, reference string) *string {
	if _, ok := row.cell(reference).known(); !ok {
		return nil
	}
	return row.cell(reference + ".user_name").text()
}

// planned reads what only changes and their tasks have. The other classes of ServiceNow are known not to
// have it; of a class that somebody made nothing is known.
func planned(ctx context.Context, row record, c class, resp *ticketv1.GetTicketResponse) {
	if c.isChange() {
		resp.ChangeType = changeTypeOf(row.cell("type"))
		resp.Risk = row.cell("risk").within(4)
		none(ctx, row, map[string]string{"type": "change_type", "risk": "risk"})
	} else if c.standard {
		finding.None(ctx, "change_type", "risk", "conflicts")
	}
	switch {
	case c.windowStart != "":
		resp.WindowStart = row.cell(c.windowStart).instant()
		resp.WindowEnd = row.cell(c.windowEnd).instant()
		none(ctx, row, map[string]string{c.windowStart: "window_start", c.windowEnd: "window_end"})
	case c.standard:
		finding.None(ctx, "window_start", "window_end")
	}
}
