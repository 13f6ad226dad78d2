package world

import (
	"time"

	"github.com/countersign/countersign/connectors/connectortest/standin/servicenow"
)

// itsmUser is the integration account of ServiceNow.
const itsmUser = "countersign.integration"

// itsm is ServiceNow with people, tickets and what the tickets are about.
func (w *World) itsm() *servicenow.Server {
	instance := servicenow.New()
	instance.Username, instance.Password = itsmUser, w.secrets.itsm
	users := map[string]string{}
	for _, p := range People() {
		users[p.ID] = instance.Insert("sys_user", map[string]string{
			"name": p.Name, "user_name": p.Mail, "email": p.Mail, "active": "true",
		})
	}
	group := instance.Insert("sys_user_group", map[string]string{"name": "Change Implementers"})
	item := instance.Insert("cmdb_ci", map[string]string{"name": "payments-prod", "sys_class_name": "cmdb_ci"})
	for _, t := range Tickets() {
		row := w.task(t)
		row["assigned_to"], row["opened_by"] = users[t.Assignee.ID], users[hiro().ID]
		row["assignment_group"], row["cmdb_ci"] = group, item
		if t.Incident {
			row["caller_id"] = users[hiro().ID]
			instance.Insert("incident", row)
			continue
		}
		row["requested_by"] = users[hiro().ID]
		instance.Insert("change_request", row)
	}
	return instance
}

// task is the record of a ticket without its references, in the values that the database has: a change
// in state -2 is scheduled, in -1 it is being carried out, in 3 it is closed; an incident in 2 is being
// worked on.
func (w *World) task(t Ticket) map[string]string {
	row := map[string]string{
		"number": t.Number, "short_description": t.Title, "active": "true", "priority": "3",
		"opened_at": w.stamp(-48 * time.Hour), "sys_updated_on": w.stamp(-time.Hour),
	}
	if t.Incident {
		row["state"], row["priority"], row["approval"] = "2", "1", "not requested"
		return row
	}
	row["state"], row["approval"], row["type"], row["risk"] = "-1", "approved", "normal", "3"
	row["start_date"], row["end_date"] = w.stamp(t.From), w.stamp(t.Until)
	row["on_hold"] = "false"
	switch {
	case t.Closed:
		row["state"], row["active"], row["closed_at"] = "3", "false", w.stamp(-time.Hour)
	case t.Unapproved:
		row["state"], row["approval"] = "-3", "requested"
	case t.From > 0:
		row["state"] = "-2"
	}
	if t.Standard {
		row["type"] = "standard"
	}
	return row
}

// stamp is a time as ServiceNow's database has it, counted from the beginning of the world.
func (w *World) stamp(offset time.Duration) string {
	return w.began.UTC().Add(offset).Format(time.DateTime)
}
