package main

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if an instance that was closed leaves anything running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
