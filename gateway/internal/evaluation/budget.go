package evaluation

import "time"

// Budget is when the parts of an evaluation have to be done, counted from the callout's arrival.
type Budget struct {
	// Facts is when gathering ends; what is missing then is unknown.
	Facts time.Duration
	// Stop is the hard stop: an answer is given whatever else runs.
	Stop time.Duration
}

// NewBudget divides the time of an answer that is due some time after the callout's arrival. The last
// 3 % are for writing the answer, between 20 ms and 900 ms; 9 % before that, between 100 ms and 1 s,
// are for the record. With PIM's timeout at 10 s and an answer due at 6.5 s that leaves 5.7 s for facts.
func NewBudget(due time.Duration) Budget {
	stop := due - within(due*3/100, 20*time.Millisecond, 900*time.Millisecond)
	return Budget{Stop: stop, Facts: stop - within(due*9/100, 100*time.Millisecond, time.Second)}
}

func within(d, least, most time.Duration) time.Duration { return min(max(d, least), most) }
