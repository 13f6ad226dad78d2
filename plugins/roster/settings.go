package main

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	rosterv1 "github.com/countersign/countersign/proto/countersign/plugins/roster/v1"
)

const (
	defaultMaxAge = 24 * time.Hour
	defaultPoll   = 15 * time.Second
	defaultBytes  = 8 << 20
	maxBytes      = 64 << 20
)

func durationOr(d *durationpb.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.AsDuration()
}

func bytesOr(n int64) int64 {
	if n == 0 {
		return defaultBytes
	}
	return n
}

// validate reads no file: whether the files are in order shows when they are opened.
func validate(c *rosterv1.Config) []*connectorv1.Diagnostic {
	found := problemsOfFiles(c)
	wrong := func(path, summary, remedy string) { found = append(found, diagnostic(path, summary, remedy)) }
	// The zone "Local" would be whatever the machine is set to.
	if _, err := time.LoadLocation(c.GetTimeZone()); err != nil || c.GetTimeZone() == "Local" {
		wrong("time_zone", "is no IANA time zone", "write it as Europe/Berlin")
	}
	if d := durationOr(c.GetMaxAge(), defaultMaxAge); d < time.Minute || d > 720*time.Hour {
		wrong("max_age", "is not between 1m and 720h", "leave it out for 24h")
	}
	if d := durationOr(c.GetPollEvery(), defaultPoll); d < time.Second || d > 10*time.Minute {
		wrong("poll_every", "is not between 1s and 10m", "leave it out for 15s")
	}
	if n := bytesOr(c.GetMaxBytes()); n < 1 || n > maxBytes {
		wrong("max_bytes", "is not between 1 and 64 MiB", "leave it out for 8 MiB")
	}
	return found
}

func problemsOfFiles(c *rosterv1.Config) []*connectorv1.Diagnostic {
	var found []*connectorv1.Diagnostic
	if c.GetPrincipalsFile() == "" && c.GetEmploymentsFile() == "" && c.GetShiftsFile() == "" {
		found = append(found, diagnostic("principals_file", "no file is given", "give at least one of principals_file, employments_file and shifts_file"))
	}
	for _, f := range []struct{ setting, path string }{
		{"principals_file", c.GetPrincipalsFile()}, {"employments_file", c.GetEmploymentsFile()}, {"shifts_file", c.GetShiftsFile()},
	} {
		if f.path != "" && !filepath.IsAbs(f.path) {
			found = append(found, diagnostic(f.setting, "is no absolute path", "write the whole path"))
		}
		if f.path != "" && !slices.Contains([]string{".yaml", ".yml", ".csv"}, extension(f.path)) {
			found = append(found, diagnostic(f.setting, "is neither .yaml, .yml nor .csv", "the ending of the name says how to read the file"))
		}
	}
	return found
}

func diagnostic(path, summary, remedy string) *connectorv1.Diagnostic {
	return &connectorv1.Diagnostic{Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: path, Summary: summary, Remedy: remedy}
}

func extension(path string) string { return strings.ToLower(filepath.Ext(path)) }
