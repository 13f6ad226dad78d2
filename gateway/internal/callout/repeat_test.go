package callout_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
)

func TestRepeatsHaveOneDigestWheneverTheyArrive(t *testing.T) {
	t.Parallel()
	const head = `{"action":"selfActivate","principalId":"3cce9d87-3986-4f19-8335-7ed075408ca2",` +
		`"roleDefinitionId":"fe930be7-5e62-47db-91af-98c3a49a38b1","directoryScopeId":"/","scheduleInfo":`
	arrival := time.Date(2026, 9, 14, 8, 0, 0, 0, time.UTC)
	for name, schedule := range map[string]string{
		"no start, length": `{"expiration":{"type":"afterDuration","duration":"PT2H"}}`,
		"no start, end":    `{"expiration":{"type":"afterDateTime","endDateTime":"2026-09-14T16:00:00Z"}}`,
		"no start, no end": `{"expiration":{"type":"noExpiration"}}`,
		"start, end":       `{"startDateTime":"2026-09-14T08:00:00Z","expiration":{"type":"afterDateTime","endDateTime":"2026-09-14T16:00:00Z"}}`,
	} {
		digests := map[string]bool{}
		for _, later := range []time.Duration{0, time.Second, time.Minute} {
			a, err := callout.Decode([]byte(head+schedule+"}"), pim.PreApproval, pim.Caller{TenantID: "t"}, arrival.Add(later))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			digests[a.Digest()] = true
		}
		if len(digests) != 1 {
			t.Errorf("%s: %d digests for one request", name, len(digests))
		}
	}
	a, _ := callout.Decode([]byte(head+`{"expiration":{"type":"afterDateTime","endDateTime":"2026-09-14T16:00:00Z"}}}`), pim.PreApproval, pim.Caller{}, arrival)
	b, _ := callout.Decode([]byte(head+`{"expiration":{"type":"afterDateTime","endDateTime":"2026-09-14T17:00:00Z"}}}`), pim.PreApproval, pim.Caller{}, arrival.Add(time.Hour))
	if a.Digest() == b.Digest() {
		t.Error("two different ends have one digest")
	}
}
