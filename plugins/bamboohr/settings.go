package main

import (
	"regexp"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/countersign/countersign/connectors/upstream"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

const (
	defaultRemember = 15 * time.Minute
	minRemember     = time.Minute
	maxRemember     = time.Hour
)

func remember(d *durationpb.Duration) time.Duration {
	if d == nil {
		return defaultRemember
	}
	return d.AsDuration()
}

func validate(c *bamboohrv1.Config) []*connectorv1.Diagnostic {
	var found []*connectorv1.Diagnostic
	wrong := func(path, summary, remedy string) {
		found = append(found, &connectorv1.Diagnostic{
			Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: path, Summary: summary, Remedy: remedy,
		})
	}
	// The zone "Local" would be whatever the machine is set to.
	_, err := time.LoadLocation(c.GetTimeZone())
	zone := err == nil && c.GetTimeZone() != "Local"
	host := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`).MatchString(c.GetCompany())
	if !zone {
		wrong("time_zone", "is no IANA time zone", "write it as Europe/Berlin")
	}
	if !host {
		wrong("company", "is no subdomain", "write acme for https://acme.bamboohr.com")
	}
	if d := remember(c.GetRememberDirectory()); d < minRemember || d > maxRemember {
		wrong("remember_directory", "is not between 1m and 1h", "leave it out for 15m")
	}
	for path, name := range fieldNames(c) {
		if name != "" && !regexp.MustCompile(`^[A-Za-z0-9_.]{1,64}$`).MatchString(name) {
			wrong(path, "is no name of a field", "copy the alias or name from BambooHR's list of fields")
		}
	}
	if zone && host {
		found = append(found, problemsOfUpstream(c)...)
	}
	return found
}

func problemsOfUpstream(c *bamboohrv1.Config) []*connectorv1.Diagnostic {
	company, err := newCompany(c)
	if err != nil {
		return upstream.Diagnostics(err)
	}
	_ = company.Close() // Nothing was asked yet.
	return nil
}

func fieldNames(c *bamboohrv1.Config) map[string]string {
	return map[string]string{
		"contract_end_field":   c.GetContractEndField(),
		"cost_center_field":    c.GetCostCenterField(),
		"company_field":        c.GetCompanyField(),
		"dataset_email_field":  c.GetDatasetEmailField(),
		"dataset_number_field": c.GetDatasetNumberField(),
	}
}
