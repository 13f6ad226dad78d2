package main

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	servicenowv1 "github.com/countersign/countersign/proto/countersign/plugins/servicenow/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// FuzzAnswer holds for every body that an instance could send: the facts are about the number that was
// asked for, no fact is both known and declared none, and only an exact "approved" is an approval.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"result":[]}`,
		`{"result":[{"number":"CHG0042317","sys_class_name":"change_request","state":"-1","approval":"approved"}]}`,
		`{"result":[{"number":{"value":"CHG0042317"},"approval":{"display_value":"Approved","value":"requested"}}]}`,
		`{"result":[{"number":"CHG0042317","assigned_to":"","assigned_to.email":"a@b.c","assignment_group":"","assignment_group.name":"x","closed_at":{"value":3.0}}]}`,
		`{"result":[],"error":{"message":"Transaction cancelled"}}`,
	} {
		f.Add([]byte(seed))
	}
	i := &instance{base: "https://acme.example"}
	table := &servicenowv1.Table{Prefix: "CHG", Table: "change_request"}
	f.Fuzz(func(t *testing.T, body []byte) {
		var a answer
		if json.Unmarshal(body, &a) != nil {
			return
		}
		rows, err := a.rows(table.GetTable())
		if err != nil || check(rows, table, "CHG0042317") != nil {
			return
		}
		ctx, recorder := finding.WithRecorder(t.Context())
		resp := i.facts(ctx, rows[0], table, "CHG0042317")
		resp.Observation = &connectorv1.Observation{}
		if err := recorder.Complete(resp, time.Now()); err != nil {
			t.Fatal(err)
		}
		approved := resp.GetApproval() == ticketv1.TicketApproval_TICKET_APPROVAL_APPROVED
		if word, _ := rows[0].cell("approval").known(); approved != (word == "approved") {
			t.Fatalf("approval %q counts as %v", word, resp.GetApproval())
		}
	})
}
