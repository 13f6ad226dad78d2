package main

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/countersign/countersign/connectors/finding"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// FuzzPerson holds for every user that Graph could send: no fact is both known and declared none, and an
// account counts as enabled only if the answer says true.
func FuzzPerson(f *testing.F) {
	f.Add([]byte(`{"id":"x","accountEnabled":true,"mail":null,"manager":{"id":"y","mail":null}}`), true)
	f.Add([]byte(`{"accountEnabled":null,"employeeId":null,"employeeLeaveDateTime":"0001-01-01T00:00:00Z"}`), false)
	f.Add([]byte(`{"accountEnabled":"true","manager":[]}`), false)
	f.Fuzz(func(t *testing.T, body []byte, leaveDates bool) {
		var user object
		if json.Unmarshal(body, &user) != nil {
			return
		}
		ctx, recorder := finding.WithRecorder(t.Context())
		resp := (&directory{leaveDateReadable: leaveDates}).person(ctx, ada, user)
		resp.Observation = &connectorv1.Observation{}
		if err := recorder.Complete(resp, time.Now()); err != nil {
			t.Fatal(err)
		}
		if resp.GetAccountEnabled() && string(user["accountEnabled"]) != "true" {
			t.Fatalf("%s counts as enabled", user["accountEnabled"])
		}
	})
}
