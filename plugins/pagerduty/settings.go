package main

import (
	"fmt"
	"time"

	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	pagerdutyv1 "github.com/countersign/countersign/proto/countersign/plugins/pagerduty/v1"
)

const (
	defaultRemember = 15 * time.Minute
	maxRemember     = time.Hour
)

// remember is how long a user id is kept; validate has checked its range.
func remember(c *pagerdutyv1.Config) time.Duration {
	if c.GetRememberUsers() == nil {
		return defaultRemember
	}
	return c.GetRememberUsers().AsDuration()
}

func validate(c *pagerdutyv1.Config) []*connectorv1.Diagnostic {
	var found []*connectorv1.Diagnostic
	wrong := func(path, summary, remedy string) {
		found = append(found, &connectorv1.Diagnostic{
			Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: path, Summary: summary, Remedy: remedy,
		})
	}
	if credentials(c) != 1 {
		wrong("api_key", fmt.Sprintf("%d kinds of credentials are given", credentials(c)), "give exactly one of api_key, bearer_token and oauth")
	}
	if d := remember(c); d < 0 || d > maxRemember {
		wrong("remember_users", "is not between 0s and 1h", "leave it out for 15m")
	}
	for name, id := range c.GetServices() {
		if name == "" || !isID(id) {
			wrong(fmt.Sprintf("services[%q]", name), "is no id of a PagerDuty service", "copy the id from the end of the service's address, such as PWJAGSD")
		}
	}
	if credentials(c) == 1 {
		_, err := newAccount(c)
		found = append(found, upstream.Diagnostics(err)...)
	}
	return found
}

func credentials(c *pagerdutyv1.Config) int {
	n := 0
	for _, given := range []bool{c.GetApiKey() != "", c.GetBearerToken() != "", c.GetOauth() != nil} {
		if given {
			n++
		}
	}
	return n
}
