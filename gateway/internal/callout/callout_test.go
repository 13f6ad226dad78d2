package callout_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
)

var update = flag.Bool("update", false, "write the golden files anew")

// arrival is when every callout of these tests comes in.
func arrival() time.Time { return time.Date(2026, 10, 5, 9, 0, 0, 0, time.UTC) }

func caller() pim.Caller { return pim.Caller{TenantID: "5d0e7f1a-9b8c-4d6e-a5f4-132435465768"} }

func decode(body []byte) (pim.Activation, error) {
	return callout.Decode(body, pim.PreApproval, caller(), arrival())
}

func mustDecode(t *testing.T, body []byte) pim.Activation {
	t.Helper()
	a, err := decode(body)
	if err != nil {
		t.Fatalf("Decode: %v\n%s", err, body)
	}
	return a
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// absent removes a member, raw puts JSON in as it is.
type (
	absent struct{}
	raw    string
)

// edited is a body with some members replaced, by path: "ticketInfo.ticketNumber".
func edited(t testing.TB, name string, edits map[string]any) []byte {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(read(t, name), &root); err != nil {
		t.Fatal(err)
	}
	for path, value := range edits {
		object := root
		parts := strings.Split(path, ".")
		for _, part := range parts[:len(parts)-1] {
			inner, ok := object[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				object[part] = inner
			}
			object = inner
		}
		switch value := value.(type) {
		case absent:
			delete(object, parts[len(parts)-1])
		case raw:
			object[parts[len(parts)-1]] = json.RawMessage(value)
		default:
			object[parts[len(parts)-1]] = value
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(root); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
