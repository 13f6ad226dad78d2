package world

import "time"

// Ticket is one of the tickets of the demonstration. Its times are relative to the world's beginning.
type Ticket struct {
	Number string
	Title  string
	// Assignee holds the ticket.
	Assignee Person
	// Standard is a pre-authorised change.
	Standard bool
	// From and Until bound the window of a change.
	From, Until time.Duration
	// Closed, Unapproved and Incident are the special cases.
	Closed, Unapproved, Incident bool
}

// The numbers that scenarios name.
const (
	adasChange       = "CHG0042317"
	bensChange       = "CHG0042318"
	closedChange     = "CHG0042319"
	tomorrowsChange  = "CHG0042320"
	carlasChange     = "CHG0042321"
	standardChange   = "CHG0042322"
	elifsChange      = "CHG0042323"
	davidsChange     = "CHG0042324"
	gracesChange     = "CHG0042325"
	unapprovedChange = "CHG0042326"
	inesChange       = "CHG0042327"
	finnsChange      = "CHG0042328"
	adasIncident     = "INC0099880"
	bensIncident     = "INC0099881"
	noChange         = "CHG0099999"
)

// Tickets are all tickets of the demonstration.
func Tickets() []Ticket {
	const tomorrow = 24 * time.Hour
	return []Ticket{
		open(adasChange, "Reset registrations of three warehouse accounts", ada()),
		open(bensChange, "Replace the certificate of the payment gateway", ben()),
		{Number: closedChange, Title: "Disable unused accounts", Assignee: ada(), From: -2 * tomorrow, Until: tomorrow, Closed: true},
		{Number: tomorrowsChange, Title: "Rotate the platform key vault", Assignee: carla(), From: tomorrow, Until: tomorrow + 4*time.Hour},
		open(carlasChange, "Move the message broker", carla()),
		standard(open(standardChange, "Restart the payment workers", carla())),
		standard(open(elifsChange, "Reset a helpdesk password", elif())),
		open(davidsChange, "Merge duplicate accounts", david()),
		open(gracesChange, "Review stale guests", grace()),
		unapproved(open(unapprovedChange, "Grant the new team its groups", ada())),
		standard(open(inesChange, "Reset a helpdesk password", ines())),
		open(finnsChange, "Check the integration of Fabrikam", finn()),
		{Number: adasIncident, Title: "Sign-in page is slow", Assignee: ada(), Incident: true},
		{Number: bensIncident, Title: "Payments are rejected", Assignee: ben(), Incident: true},
	}
}

// open is an approved change under way, from an hour ago to ten hours ahead.
func open(number, title string, assignee Person) Ticket {
	return Ticket{Number: number, Title: title, Assignee: assignee, From: -time.Hour, Until: 10 * time.Hour}
}

func standard(t Ticket) Ticket {
	t.Standard = true
	return t
}

func unapproved(t Ticket) Ticket {
	t.Unapproved = true
	return t
}
