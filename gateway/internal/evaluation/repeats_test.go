package evaluation_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/gateway/internal/evaluation"
	"github.com/countersign/countersign/gateway/internal/pim"
)

func TestDeliveriesThatDidNotArriveAreNotRepeatsOfEachOther(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	torn := evaluation.Callout{Stage: pim.PreApproval, Problem: errors.New("torn"), ReceivedAt: time.Now()}
	if a, b := h.Answer(torn), h.Answer(torn); bytes.Equal(a, b) {
		t.Errorf("two deliveries share %s", a)
	}
}

func TestWithoutAnIDARepeatIsOneOnlyWhileItCanBeDelivered(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"in memory": false, "from the journal": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				anonymous := bytes.Replace(body(someID, "PT2H"), []byte(`"id":"`+someID+`",`), nil, 1)
				h := build(t, allowing, evaluation.Settings{Repeats: 30 * time.Second})
				first := h.Answer(delivery(anonymous))
				if restart {
					records := h.journal.all()
					h = build(t, allowing, evaluation.Settings{Repeats: 30 * time.Second})
					h.journal.records = records
				}
				time.Sleep(20 * time.Second)
				if again := h.Answer(delivery(anonymous)); !bytes.Equal(first, again) {
					t.Error("a retry got another answer")
				}
				time.Sleep(20 * time.Second)
				if later := h.Answer(delivery(anonymous)); bytes.Equal(first, later) {
					t.Error("a new activation got the answer of an old one")
				}
			})
		})
	}
}

func TestRepeatsShareOneEvaluationAndItsBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, allowing, evaluation.Settings{})
		h.gatherer.wait = time.Second
		answers := make([][]byte, 10)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = h.Answer(delivery(body(someID, "PT2H"))) })
		}
		all.Wait()
		for _, answer := range answers[1:] {
			if !bytes.Equal(answers[0], answer) {
				t.Fatalf("%s and %s differ", answers[0], answer)
			}
		}
		if h.gatherer.calls != 1 || len(h.journal.all()) != 1 {
			t.Errorf("gathered %d times, recorded %d times, want once", h.gatherer.calls, len(h.journal.all()))
		}
		restarted := build(t, allowing, evaluation.Settings{})
		restarted.journal.records = h.journal.all()
		if again := restarted.Answer(delivery(body(someID, "PT2H"))); !bytes.Equal(answers[0], again) {
			t.Errorf("after a restart %s, before %s", again, answers[0])
		}
	})
}

func TestOtherBodyUnderTheSameKeyIsEvaluatedAndFlagged(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"in memory": false, "from the journal": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, allowing, evaluation.Settings{})
			if got := outcome(t, h.Answer(delivery(body(someID, "PT2H")))); got != "Approved" {
				t.Fatalf("outcome %s, want Approved", got)
			}
			if restart {
				records := h.journal.all()
				h = build(t, allowing, evaluation.Settings{})
				h.journal.records = records
			}
			if got := outcome(t, h.Answer(delivery(body(someID, "PT8H")))); got != "Denied" {
				t.Fatalf("the second body got %s; it must be decided on its own", got)
			}
			records := h.journal.all()
			if last := records[len(records)-1]; !last.Evaluation.Conflict {
				t.Error("the conflict is not flagged")
			}
		})
	}
}

func TestStageSeparatesRequests(t *testing.T) {
	t.Parallel()
	h := build(t, allowing, evaluation.Settings{})
	post := delivery(body(someID, "PT2H"))
	post.Stage = pim.PostApproval
	if a, b := h.Answer(delivery(body(someID, "PT2H"))), h.Answer(post); bytes.Equal(a, b) {
		t.Error("one answer for two stages")
	}
}
