package fleet_test

import (
	"context"
	"testing"

	"github.com/countersign/countersign/gateway/internal/fleet"
	"github.com/countersign/countersign/gateway/internal/pim"
)

// BenchmarkAsk is one ask to a real plugin process that answers from memory: message, socket, process and
// back, with the facts read.
func BenchmarkAsk(b *testing.B) {
	f := benchFleet(b)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got := f.Ask(b.Context(), ask("payments")); !got.Found {
				b.Fatal(got)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if got := f.Ask(b.Context(), ask("payments")); got.Fault != pim.NoFault {
					b.Error(got)
				}
			}
		})
	})
}

func benchFleet(b *testing.B) *fleet.Fleet {
	b.Helper()
	f, problems := fleet.Start(b.Context(), []fleet.Spec{spec(b)}, fleet.Options{Secrets: secrets})
	if f == nil {
		b.Fatal(problems)
	}
	b.Cleanup(func() { _ = f.Close(context.WithoutCancel(b.Context())) })
	return f
}
