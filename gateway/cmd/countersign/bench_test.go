package main

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
	"github.com/countersign/countersign/gateway/internal/sim/world"
)

// BenchmarkActivation is the whole path over HTTP: token, decode, plan, three asks to real plugin processes
// (the third waits for the first) and from there to stand-ins on loopback, decide, durable record, answer.
func BenchmarkActivation(b *testing.B) {
	d := benchDemo(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	token, err := d.world.Tenant.Token(sim.TokenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	s := ownChange(b, d)
	activate := func() {
		if answer := posted(b, client, d.url(), token, fresh(b, s)); answer == nil || answer.Outcome != pim.Approved {
			b.Errorf("answer %+v, want an approval", answer)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			activate()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				activate()
			}
		})
	})
}

func benchDemo(b *testing.B) *demo {
	b.Helper()
	d := &demo{out: io.Discard, dir: b.TempDir()}
	b.Cleanup(func() {
		if err := d.stop(b.Context()); err != nil {
			b.Error(err)
		}
	})
	if err := d.start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return d
}

func ownChange(b *testing.B, d *demo) world.Scenario {
	b.Helper()
	for _, s := range d.world.Scenarios() {
		if s.Name == "own-change" {
			return s
		}
	}
	b.Fatal("there is no scenario own-change")
	return world.Scenario{}
}

// fresh is the scenario's callout as a request of its own.
func fresh(b *testing.B, s world.Scenario) []byte {
	b.Helper()
	a := s.Activation
	a.RequestID = uuid.NewString()
	body, err := sim.Body(a, sim.Spelling{})
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func posted(b *testing.B, client *http.Client, url, token string, body []byte) *sim.Answer {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/v1/pim/pre-approval", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Error(err)
		return nil
	}
	answer, err := sim.ReadAnswer(response.StatusCode, response.Header.Get("Content-Type"), text)
	if err != nil {
		b.Error(err)
	}
	return answer
}
