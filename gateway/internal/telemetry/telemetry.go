// Package telemetry makes the gateway observable: its log and its metrics. It has no globals: what it
// makes is handed to the rooms that report.
package telemetry
