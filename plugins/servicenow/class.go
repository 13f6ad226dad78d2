package main

import (
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// class is what the connector knows about the records of one class: which columns say what, and what the
// values of state mean. All of it is ServiceNow's default; an instance can differ.
type class struct {
	kind ticketv1.TicketKind
	// requester is the column with the person it was opened for; empty if it is not known which.
	requester string
	// windowStart and windowEnd are the columns of the planned window.
	windowStart, windowEnd string
	// standard is false for a class that the instance's owner made: what it has beyond a task is not
	// known.
	standard bool
	states   map[string]ticketv1.TicketStatus
}

func classOf(name string) class {
	switch name {
	case "incident":
		return class{kind: ticketv1.TicketKind_TICKET_KIND_INCIDENT, requester: "caller_id", standard: true, states: incidentStates()}
	case "change_request":
		return class{
			kind: ticketv1.TicketKind_TICKET_KIND_CHANGE, requester: "requested_by", windowStart: "start_date", windowEnd: "end_date",
			standard: true, states: changeStates(),
		}
	case "problem":
		return class{kind: ticketv1.TicketKind_TICKET_KIND_PROBLEM, requester: "opened_by", standard: true, states: problemStates()}
	case "sc_request", "sc_req_item":
		return class{kind: ticketv1.TicketKind_TICKET_KIND_REQUEST, requester: "requested_for", standard: true, states: taskStates()}
	case "sc_task":
		return class{kind: ticketv1.TicketKind_TICKET_KIND_TASK, requester: "request_item.requested_for", standard: true, states: taskStates()}
	case "change_task":
		return class{
			kind: ticketv1.TicketKind_TICKET_KIND_TASK, requester: "change_request.requested_by",
			windowStart: "planned_start_date", windowEnd: "planned_end_date", standard: true, states: taskStates(),
		}
	case "problem_task": // Its states are its own and are left to the configuration.
		return class{kind: ticketv1.TicketKind_TICKET_KIND_TASK, standard: true}
	case anyTask:
		return class{kind: ticketv1.TicketKind_TICKET_KIND_TASK, states: taskStates()}
	default:
		return class{kind: ticketv1.TicketKind_TICKET_KIND_OTHER}
	}
}

func (c class) isChange() bool { return c.kind == ticketv1.TicketKind_TICKET_KIND_CHANGE }

func incidentStates() map[string]ticketv1.TicketStatus {
	return map[string]ticketv1.TicketStatus{
		"1": ticketv1.TicketStatus_TICKET_STATUS_NEW,
		"2": ticketv1.TicketStatus_TICKET_STATUS_OPEN,
		"3": ticketv1.TicketStatus_TICKET_STATUS_PENDING,
		"6": ticketv1.TicketStatus_TICKET_STATUS_RESOLVED,
		"7": ticketv1.TicketStatus_TICKET_STATUS_CLOSED,
		"8": ticketv1.TicketStatus_TICKET_STATUS_CANCELLED,
	}
}

func changeStates() map[string]ticketv1.TicketStatus {
	return map[string]ticketv1.TicketStatus{
		"-5": ticketv1.TicketStatus_TICKET_STATUS_NEW,
		"-4": ticketv1.TicketStatus_TICKET_STATUS_OPEN, // Assess
		"-3": ticketv1.TicketStatus_TICKET_STATUS_OPEN, // Authorize
		"-2": ticketv1.TicketStatus_TICKET_STATUS_SCHEDULED,
		"-1": ticketv1.TicketStatus_TICKET_STATUS_IMPLEMENTING,
		"0":  ticketv1.TicketStatus_TICKET_STATUS_REVIEW,
		"3":  ticketv1.TicketStatus_TICKET_STATUS_CLOSED,
		"4":  ticketv1.TicketStatus_TICKET_STATUS_CANCELLED,
	}
}

func problemStates() map[string]ticketv1.TicketStatus {
	return map[string]ticketv1.TicketStatus{
		"101": ticketv1.TicketStatus_TICKET_STATUS_NEW,
		"102": ticketv1.TicketStatus_TICKET_STATUS_OPEN, // Assess
		"103": ticketv1.TicketStatus_TICKET_STATUS_OPEN, // Root cause analysis
		"104": ticketv1.TicketStatus_TICKET_STATUS_OPEN, // Fix in progress
		"106": ticketv1.TicketStatus_TICKET_STATUS_RESOLVED,
		"107": ticketv1.TicketStatus_TICKET_STATUS_CLOSED,
	}
}

func taskStates() map[string]ticketv1.TicketStatus {
	return map[string]ticketv1.TicketStatus{
		"-5": ticketv1.TicketStatus_TICKET_STATUS_PENDING,
		"1":  ticketv1.TicketStatus_TICKET_STATUS_OPEN,
		"2":  ticketv1.TicketStatus_TICKET_STATUS_OPEN,   // Work in progress
		"3":  ticketv1.TicketStatus_TICKET_STATUS_CLOSED, // Complete
		"4":  ticketv1.TicketStatus_TICKET_STATUS_CLOSED, // Incomplete
		"7":  ticketv1.TicketStatus_TICKET_STATUS_CLOSED, // Skipped
	}
}

// approvalOf reads the column approval. Its words are the database's, not those that people see.
func approvalOf(c cell) *ticketv1.TicketApproval {
	switch c.value {
	case "not requested":
		return ticketv1.TicketApproval_TICKET_APPROVAL_NOT_REQUESTED.Enum()
	case "not_required":
		return ticketv1.TicketApproval_TICKET_APPROVAL_NOT_REQUIRED.Enum()
	case "requested":
		return ticketv1.TicketApproval_TICKET_APPROVAL_PENDING.Enum()
	case "approved":
		return ticketv1.TicketApproval_TICKET_APPROVAL_APPROVED.Enum()
	case "rejected":
		return ticketv1.TicketApproval_TICKET_APPROVAL_REJECTED.Enum()
	case "cancelled":
		return ticketv1.TicketApproval_TICKET_APPROVAL_CANCELLED.Enum()
	default:
		return nil
	}
}

func changeTypeOf(c cell) *ticketv1.ChangeType {
	switch c.value {
	case "standard":
		return ticketv1.ChangeType_CHANGE_TYPE_STANDARD.Enum()
	case "normal":
		return ticketv1.ChangeType_CHANGE_TYPE_NORMAL.Enum()
	case "emergency":
		return ticketv1.ChangeType_CHANGE_TYPE_EMERGENCY.Enum()
	default:
		return nil
	}
}
