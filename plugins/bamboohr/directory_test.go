package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/bamboohr"
	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

func TestWhoIsFound(t *testing.T) {
	t.Parallel()
	twin := with(map[string]any{"workEmail": "ellie.doe@acme.example", "employeeNumber": "123"})
	twin.ID = "43"
	apostrophe := with(map[string]any{"workEmail": "o'brien@acme.example", "employeeNumber": "42"})
	apostrophe.ID = "7"
	cases := map[string]struct {
		number, email string
		want          string
	}{
		"by number":                            {"00123", "", "00123"},
		"by address, other case":               {"", "e.doe@ACME.example", "00123"},
		"by both":                              {"00123", "e.doe@acme.example", "00123"},
		"number and somebody else's address":   {"00123", "ellie.doe@acme.example", "not found"},
		"part of an address":                   {"", "doe@acme.example", "not found"},
		"the number without its zeros":         {"123", "", "123"},
		"a number that is somebody's id":       {"42", "", "42"},
		"an id that is nobody's number":        {"43", "", "not found"},
		"number 0 is a number and no id":       {"0", "", "0"},
		"an apostrophe in the address":         {"", "o'brien@acme.example", "42"},
		"a wildcard":                           {"*", "", "not found"},
		"a filter expression":                  {"' or 1 eq 1 or employeeNumber eq '", "", "not found"},
		"a filter expression in the address":   {"", "x'or'1'eq'1@acme.example", "not found"},
		"a path":                               {"../employees/1", "", "not found"},
		"a line break":                         {"00123\n", "", "fault"},
		"an address with parameters":           {"", "e.doe@acme.example&x=1", "not found"},
		"an address that is none":              {"", "e.doe", "fault"},
		"an address with a line break":         {"", "e.doe@acme.example\r\nX: 1", "fault"},
		"two addresses":                        {"", "e.doe@acme.example, ellie.doe@acme.example", "fault"},
		"nothing":                              {"", "", "fault"},
		"a number as long as a novel":          {strings.Repeat("1", 65), "", "fault"},
		"full-width digits":                    {"００１２３", "", "not found"},
		"a number with a space around it":      {" 00123", "", "not found"},
		"an address with the wrong local part": {"", "e.doe+x@acme.example", "not found"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.AddEmployee(twin, apostrophe)
			r, err := w.ask(t, c.number, c.email)
			switch {
			case c.want == "fault":
				wantFault(t, err, malformed, asked)
			case c.want == "not found":
				wantFault(t, err, notFound, 0)
			case err != nil || r.GetEmployeeNumber() != c.want:
				t.Errorf("found %q %v, want %s", r.GetEmployeeNumber(), err, c.want)
			}
		})
	}
}

// The id 0 is whoever owns the key: it must never be asked for, whatever the directory says.
func TestTheOwnerOfTheKeyIsNobodysAnswer(t *testing.T) {
	t.Parallel()
	zero := with(map[string]any{"workEmail": "linked@acme.example", "employeeNumber": "9"})
	zero.ID = "0"
	w := newWorld(t)
	w.AddEmployee(zero)
	_, err := w.ask(t, "", "linked@acme.example")
	wantFault(t, err, malformed, theirs)
	for _, r := range w.Requests() {
		if strings.HasPrefix(r, "GET /api/v1/employees/0") {
			t.Errorf("asked %s", r)
		}
	}
}

func TestTwoRecordsWithOneAddressAreAmbiguous(t *testing.T) {
	t.Parallel()
	again := with(map[string]any{"workEmail": "e.doe@acme.example", "employeeNumber": "999"})
	again.ID = "44"
	w := newWorld(t)
	w.AddEmployee(again)
	_, err := w.ask(t, "", "e.doe@acme.example")
	wantFault(t, err, ambiguous, asked)
	if _, err := w.ask(t, "999", "e.doe@acme.example"); err != nil {
		t.Errorf("the number tells them apart, got %v", err)
	}
}

// Absence is knowledge only for a key that sees everybody and everything.
func TestAbsenceThatAMissingRightExplainsIsAFault(t *testing.T) {
	t.Parallel()
	invisible := erin()
	invisible.Invisible = true
	t.Run("the key does not see everybody", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(c *bamboohrv1.Config) { c.KeySeesEveryone = false })
		w.SetEmployee(invisible)
		_, err := w.ask(t, "00123", "")
		wantFault(t, err, malformed, asked)
	})
	t.Run("somebody's number is hidden", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.SetEmployee(with(nil, "employeeNumber"))
		_, err := w.ask(t, "00123", "")
		wantFault(t, err, malformed, asked)
	})
	t.Run("the key sees everybody", func(t *testing.T) {
		t.Parallel()
		_, err := newWorld(t).ask(t, "77", "")
		wantFault(t, err, notFound, 0)
	})
}

func TestEveryPageOfTheDirectoryIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 2*rowsPerPage - 2 {
		w.AddEmployee(bamboohr.Employee{ID: fmt.Sprint(1000 + i), Fields: map[string]any{"workEmail": fmt.Sprintf("p%d@acme.example", i), "employeeNumber": fmt.Sprint("N", i)}})
	}
	last := with(map[string]any{"workEmail": "last@acme.example", "employeeNumber": "L"})
	last.ID = "5000"
	w.AddEmployee(last)
	patient, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := w.askWithin(t, patient, "", "last@acme.example"); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTheDirectoryIsRememberedAndTheRecordIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustAsk(t)
	w.SetEmployee(with(map[string]any{"status": "Inactive"}))
	if got := stateOf(w.mustAsk(t)); got != "terminated" {
		t.Errorf("after the termination: %s", got)
	}
	if got := w.count("POST /api/v2/datasets"); got != 1 {
		t.Errorf("read the directory %d times, want once", got)
	}
	w.wait(defaultRemember)
	w.mustAsk(t)
	if got := w.count("POST /api/v2/datasets"); got != 2 {
		t.Errorf("read the directory %d times after its time, want twice", got)
	}
}

func (w *world) count(prefix string) int {
	n := 0
	for _, r := range w.Requests() {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func TestSomebodyNewIsFoundSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustAsk(t)
	fresh := with(map[string]any{"workEmail": "new@acme.example", "employeeNumber": "NEW"})
	fresh.ID = "50"
	w.AddEmployee(fresh)
	w.wait(missAge)
	if _, err := w.ask(t, "NEW", ""); err != nil {
		t.Errorf("got %v", err)
	}
}

// The directory may be minutes old: the record itself must bear the keys.
func TestAKeyThatMovedToSomebodyElseFindsTheNewOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustAsk(t)
	w.SetEmployee(with(map[string]any{"employeeNumber": "OLD", "department": "Nobody"}))
	heir := with(map[string]any{"workEmail": "heir@acme.example", "department": "Heirs"})
	heir.ID = "51"
	w.AddEmployee(heir)
	r := w.mustAsk(t)
	if r.GetDepartment() != "Heirs" {
		t.Errorf("answered the record of %s", r.GetDepartment())
	}
}

func TestADeletedRecordIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustAsk(t)
	w.RemoveEmployee("42")
	_, err := w.ask(t, "00123", "")
	wantFault(t, err, notFound, 0)
}

func TestTroubleUpstreamIsAFault(t *testing.T) {
	t.Parallel()
	const dataset, employee, leave = "/datasets/", "/v1/employees/", "/time_off/"
	cases := map[string]struct {
		path   string
		fault  *fault.Fault
		kind   connectorv1.FaultKind
		source connectorv1.FaultSource
	}{
		"429 is a limit":                     {dataset, bamboohr.RateLimited("30"), busy, theirs},
		"503 is an outage":                   {dataset, &fault.Fault{Status: 503}, unavailable, theirs},
		"401":                                {dataset, &fault.Fault{Status: 401, Body: canary}, denied, theirs},
		"no right to the dataset":            {dataset, &fault.Fault{Status: 404}, denied, theirs},
		"a dataset without rows":             {dataset, &fault.Fault{Body: `{}`}, malformed, theirs},
		"a dataset without a count":          {dataset, &fault.Fault{Body: `{"data":[],"meta":{}}`}, malformed, theirs},
		"fewer rows than counted":            {dataset, &fault.Fault{Body: `{"data":[],"meta":{"totalItems":3}}`}, malformed, theirs},
		"a row without an id":                {dataset, &fault.Fault{Body: `{"data":[{"fields":{"email":"e.doe@acme.example","employeeNumber":"00123"}}],"meta":{"totalItems":1}}`}, malformed, theirs},
		"two rows with one id":               {dataset, &fault.Fault{Body: `{"data":[{"fields":{"eeid":"7"}},{"fields":{"eeid":7}}],"meta":{"totalItems":2}}`}, malformed, theirs},
		"a login page":                       {dataset, &fault.Fault{Body: "<html>" + canary, ContentType: "text/html"}, malformed, theirs},
		"the record: 500":                    {employee, &fault.Fault{Status: 500}, unavailable, theirs},
		"the record: 403":                    {employee, &fault.Fault{Status: 403}, malformed, asked},
		"the record: another one":            {employee, &fault.Fault{Body: `{"id":"1","status":"Active","employeeNumber":"00123"}`}, malformed, theirs},
		"the record: the owner's":            {employee, &fault.Fault{Body: `{"id":"0"}`}, malformed, theirs},
		"the record: its key is not shown":   {employee, &fault.Fault{Body: `{"id":"42","status":"Active"}`}, malformed, asked},
		"the record: a member twice":         {employee, &fault.Fault{Body: `{"id":"42","status":"Inactive","status":"Active","employeeNumber":"00123"}`}, malformed, theirs},
		"the record: XML":                    {employee, &fault.Fault{Body: `<employee/>`, ContentType: "application/xml"}, malformed, theirs},
		"the record: nothing":                {employee, &fault.Fault{Body: `null`}, malformed, theirs},
		"the record: never":                  {employee, &fault.Fault{Hang: true}, timeout, theirs},
		"time off: 503":                      {leave, &fault.Fault{Status: 503}, unavailable, theirs},
		"time off: 429":                      {leave, bamboohr.RateLimited("30"), busy, theirs},
		"everything is too long to be read":  {"", &fault.Fault{Body: strings.Repeat(" ", maxAnswer+1)}, malformed, theirs},
		"everything is slower than we wait":  {"", &fault.Fault{Delay: 5 * time.Second}, timeout, theirs},
		"the record: another number than is": {employee, &fault.Fault{Body: `{"id":"42","status":"Active","employeeNumber":"9"}`}, malformed, theirs},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *bamboohrv1.Config) {
				c.Transport = &connectorv1.Transport{AttemptTimeout: durationpb.New(300 * time.Millisecond)}
			})
			w.SetFaultAt(c.path, c.fault)
			_, err := w.ask(t, "00123", "")
			wantFault(t, err, c.kind, c.source)
		})
	}
}

func TestTheKeyStaysWithItsHost(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(elsewhere.Close)
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirect.Close)
	w := newWorld(t, func(c *bamboohrv1.Config) { c.BaseUrl = redirect.URL })
	_, err := w.ask(t, "00123", "")
	wantFault(t, err, malformed, theirs)
	if visits.Load() != 0 {
		t.Error("the other host was asked")
	}
}

// A reading outlives the question that began it, so that the next one finds it done.
func TestTheDirectoryIsReadOnAfterTheQuestionGaveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetFaultAt("/datasets/", &fault.Fault{Delay: 200 * time.Millisecond})
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.askWithin(t, impatient, "00123", "")
	wantFault(t, err, timeout, theirs)
	w.mustAsk(t)
	if got := w.count("POST /api/v2/datasets"); got != 1 {
		t.Errorf("read the directory %d times, want once", got)
	}
}

func TestOpeningReadsTheDirectoryAndClosingEndsThat(t *testing.T) {
	t.Parallel()
	arrived, left := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // Only then does the server notice that the client hung up.
		close(arrived)
		<-r.Context().Done()
		close(left)
	}))
	t.Cleanup(upstream.Close)
	opened, err := open(t.Context(), &bamboohrv1.Config{Company: "acme", BaseUrl: upstream.URL, ApiKey: canary, TimeZone: "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	<-arrived
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	<-left
}

func TestARestrictedFieldIsUnknownWhateverItLooksLike(t *testing.T) {
	t.Parallel()
	var r record
	if err := json.Unmarshal([]byte(`{"a":"","b":null,"c":7,"d":"x","_restrictedFields":["a","b","d"]}`), &r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]state{"a": unknown, "b": unknown, "c": known, "d": unknown, "e": unknown} {
		if got := r.text(name).state; got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		prepare func(*world)
		want    connectorv1.HealthStatus
	}{
		"well":        {func(*world) {}, connectorv1.HealthStatus_HEALTH_STATUS_OK},
		"refused":     {func(w *world) { w.SetFault(&fault.Fault{Status: 401}) }, connectorv1.HealthStatus_HEALTH_STATUS_CREDENTIALS_REFUSED},
		"in trouble":  {func(w *world) { w.SetFault(&fault.Fault{Status: 502}) }, connectorv1.HealthStatus_HEALTH_STATUS_UNREACHABLE},
		"no time off": {func(w *world) { w.SetFaultAt("/time_off/", &fault.Fault{Status: 403}) }, connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED},
		"hidden fields": {func(w *world) {
			e := owner()
			e.Hidden = []string{"workEmail"}
			w.RemoveEmployee("42")
			w.SetEmployee(e)
		}, connectorv1.HealthStatus_HEALTH_STATUS_DEGRADED},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.prepare(w)
			health, err := w.client.CheckHealth(t.Context())
			if err != nil || health.GetStatus() != c.want {
				t.Errorf("got %v %v, want %v", health, err, c.want)
			}
		})
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	good := func(change func(*bamboohrv1.Config)) *bamboohrv1.Config {
		c := &bamboohrv1.Config{Company: "acme", ApiKey: canary, TimeZone: "America/Denver"}
		change(c)
		return c
	}
	cases := map[string]struct {
		config *bamboohrv1.Config
		want   string
	}{
		"good":                {good(func(*bamboohrv1.Config) {}), ""},
		"no zone":             {good(func(c *bamboohrv1.Config) { c.TimeZone = "Mars/Base" }), "time_zone"},
		"the machine's zone":  {good(func(c *bamboohrv1.Config) { c.TimeZone = "Local" }), "time_zone"},
		"a path as company":   {good(func(c *bamboohrv1.Config) { c.Company = "acme.evil.example/x" }), "company"},
		"plain http":          {good(func(c *bamboohrv1.Config) { c.BaseUrl = "http://acme.bamboohr.com" }), "base_url"},
		"remembered for days": {good(func(c *bamboohrv1.Config) { c.RememberDirectory = durationpb.New(48 * time.Hour) }), "remember_directory"},
		"a field with commas": {good(func(c *bamboohrv1.Config) { c.CostCenterField = "a,b" }), "cost_center_field"},
		"no key":              {good(func(c *bamboohrv1.Config) { c.ApiKey = "" }), "api_key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			for _, d := range connectortest.Serve(t, connector()).Validate(t, c.config) {
				got += d.GetFieldPath()
			}
			if got != c.want {
				t.Errorf("complains about %q, want %q", got, c.want)
			}
		})
	}
}
