package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// graph puts the asks in an order in which their arguments are known, and gives every rule the asks
// that it needs.
func (c *compiler) graph() {
	c.p.order = c.ordered()
	c.chains()
	if len(c.p.order) < len(c.p.asks) {
		c.cycle()
		return
	}
	for i := range c.p.rules {
		c.needs(&c.p.rules[i])
	}
}

// ordered leaves out the asks of cycles and whatever needs them.
func (c *compiler) ordered() []int {
	var order []int
	for progress := true; progress; {
		progress = false
		for i, a := range c.p.asks {
			if !slices.Contains(order, i) && !slices.ContainsFunc(a.needs, func(n int) bool { return !slices.Contains(order, n) }) {
				order = append(order, i)
				progress = true
			}
		}
	}
	return order
}

// cycle reports one cycle among the asks that are not ordered.
func (c *compiler) cycle() {
	at := slices.IndexFunc(c.p.asks, func(a ask) bool { return !slices.Contains(c.p.order, c.number(a.name)) })
	var way []int
	for !slices.Contains(way, at) {
		way = append(way, at)
		i := slices.IndexFunc(c.p.asks[at].needs, func(n int) bool { return !slices.Contains(c.p.order, n) })
		at = c.p.asks[at].needs[i]
	}
	way = append(way[slices.Index(way, at):], at)
	names := make([]string, len(way))
	for i, n := range way {
		names[i] = c.p.asks[n].name
	}
	c.report(strictyaml.Join(c.path+".ask", names[0]), "the arguments need each other in a circle: "+strings.Join(names, " needs "), "break the circle")
}

func (c *compiler) number(name string) int {
	return slices.IndexFunc(c.p.asks, func(a ask) bool { return a.name == name })
}

// chains reports asks whose timeouts add up to more than there is for all of them.
func (c *compiler) chains() {
	if c.options.FactBudget <= 0 {
		return
	}
	longest := make([]time.Duration, len(c.p.asks))
	for _, i := range c.p.order {
		a := c.p.asks[i]
		for _, n := range a.needs {
			longest[i] = max(longest[i], longest[n])
		}
		longest[i] += a.timeout
		if a.timeout > 0 && longest[i] > c.options.FactBudget {
			c.report(strictyaml.Join(c.path+".ask", a.name)+".timeout",
				fmt.Sprintf("the asks up to this one may take %s, and there are %s for all", longest[i], c.options.FactBudget),
				"shorten the timeouts, or ask for less in a row")
		}
	}
}

func (c *compiler) needs(r *rule) {
	if r.expr == nil {
		return
	}
	for _, u := range r.expr.Uses() {
		r.used = append(r.used, c.p.asks[u.Ask].name+"."+u.Fact)
	}
	r.needs = c.p.closure(r.expr.Asks())
	r.fetches = r.needs
	if r.reason != nil {
		r.fetches = c.p.closure(append(slices.Clone(r.needs), r.reason.Asks()...))
	}
}

// closure adds the asks that the arguments of asks need, in order.
func (p *policy) closure(asks []int) []int {
	all := slices.Clone(asks)
	for i := 0; i < len(all); i++ {
		for _, n := range p.asks[all[i]].needs {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	slices.Sort(all)
	return all
}

// unused reports the asks that no rule and no reason needs.
func (c *compiler) unused() {
	var named []int
	for i, r := range c.p.rules {
		if r.expr == nil || r.reason == nil && c.text.Rules[i].Reason != "" || c.undecoded(c.path) {
			return // what would use them was not understood
		}
		named = append(named, r.expr.Asks()...)
		if r.reason != nil {
			named = append(named, r.reason.Asks()...)
		}
	}
	for _, a := range c.p.asks {
		if len(a.args) < len(c.text.Ask[a.name].Args) {
			return
		}
	}
	used := c.p.closure(named)
	for i, a := range c.p.asks {
		if !slices.Contains(used, i) && a.capability.Method != "" {
			c.report(strictyaml.Join(c.path+".ask", a.name), fmt.Sprintf("no rule uses the ask %s", a.name), "remove it, or use one of its facts")
		}
	}
}
