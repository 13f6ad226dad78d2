package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// checker collects problems with a configuration.
type checker struct {
	config *Config
	// decoded are the problems of decoding; a path that has one has no further one.
	decoded  strictyaml.Problems
	problems strictyaml.Problems
}

func (k *checker) report(path, message, remedy string) {
	if slices.ContainsFunc(k.decoded, func(p strictyaml.Problem) bool { return p.Path == path }) {
		return
	}
	k.problems = append(k.problems, k.config.Problem(path, message, remedy))
}

// reported says whether a setting has a problem already.
func (k *checker) reported(path string) bool {
	at := func(p strictyaml.Problem) bool { return p.Path == path }
	return slices.ContainsFunc(k.decoded, at) || slices.ContainsFunc(k.problems, at)
}

// check finds what no single value shows.
func (c *Config) check(decoded strictyaml.Problems) strictyaml.Problems {
	k := &checker{config: c, decoded: decoded}
	k.ranges()
	k.listeners()
	k.entra()
	k.times()
	k.files()
	for _, name := range slices.Sorted(maps.Keys(c.Connectors)) {
		k.connector(name, c.Connectors[name])
	}
	return k.problems
}

func (k *checker) listeners() {
	listen, admin := k.config.Listen, k.config.Admin
	if listen.TLS == nil && !k.given("listen.tls") && !listen.BehindProxy && !listen.Address.Loopback() {
		k.report("listen.address", "would serve plain HTTP to other machines",
			"give listen.tls, or set listen.behind_proxy where a proxy ends TLS")
	}
	if !admin.Remote && !admin.Address.Loopback() {
		k.report("admin.address", "would let other machines ask for metrics and the state of the connectors",
			"listen on 127.0.0.1, or set admin.remote where something else decides who gets there")
	}
	if listen.Address.overlaps(admin.Address) {
		k.report("admin.address", "is the address of listen", "give each its own port")
	}
}

func (k *checker) given(path string) bool { return k.config.document.Has(path) }

func (k *checker) entra() {
	callers := k.config.Entra.Callers
	if len(callers) == 0 {
		k.report("entra.callers", "lets nobody call", "remove it to let Microsoft's PIM service call")
	}
	for i, caller := range callers {
		if caller != "" && slices.Contains(callers[:i], caller) {
			k.report(strictyaml.Index("entra.callers", i), "is here twice", "remove one of them")
		}
	}
}

// leastDue is the least time for an answer in which asking is any use: the record and the writing take
// 120 ms of it at least, a system that is asked a few hundred.
const leastDue = 400 * time.Millisecond

func (k *checker) times() {
	due := k.config.Due()
	if due < leastDue {
		k.tooSoon(due)
		return
	}
	for _, part := range []struct {
		path string
		time time.Duration
	}{
		{"answer.linger", k.config.Answer.Linger},
		{"limits.queue_wait", k.config.Limits.QueueWait},
	} {
		if part.time*2 > due {
			k.report(part.path, fmt.Sprintf("takes more than half of the %s until the answer is due", due), "make it shorter")
		}
	}
}

// tooSoon reports an answer that is due too soon, unless that follows from a setting with a problem of
// its own.
func (k *checker) tooSoon(due time.Duration) {
	if k.reported("answer.within") || k.reported("answer.at_most") || k.reported("pim.timeout") {
		return
	}
	k.report("answer.within", fmt.Sprintf("leaves %s of pim.timeout to answer in, too little to ask anybody", due),
		fmt.Sprintf("make it larger, so that at least %s are left", leastDue))
}

func (k *checker) files() {
	c := k.config
	if len(c.Policies) == 0 && k.given("policies") {
		k.report("policies", "names no file", "write a pattern such as policies/*.yaml")
	}
	for i, pattern := range c.Policies {
		if strings.TrimSpace(pattern) == "" || strings.ContainsRune(pattern, 0) {
			k.report(strictyaml.Index("policies", i), "is no file name", "write a pattern such as policies/*.yaml")
		}
	}
	taken := map[Path]string{}
	for _, file := range []struct {
		path string
		file Path
	}{
		{"journal.path", c.Journal.Path},
		{"journal.key_file", c.Journal.KeyFile},
		{"journal.checkpoint_file", c.Journal.CheckpointFile},
	} {
		if other := taken[file.file]; other != "" {
			k.report(file.path, "is the file of "+other, "give each its own file")
		}
		taken[file.file] = file.path
	}
}

func (k *checker) connector(name string, c Connector) {
	path := strictyaml.Join("connectors", name)
	if !nameForm.MatchString(name) {
		k.report(path, "is no name for a connector", "use lower-case letters, digits, - and _, beginning with a letter, at most 63 characters")
	}
	if len(c.Allow) == 0 && k.given(path+".allow") {
		k.report(path+".allow", "lets the connector answer nothing", "name a capability such as ticket, or remove the connector")
	}
	for i, capability := range c.Allow {
		if capability != "" && slices.Contains(c.Allow[:i], capability) {
			k.report(strictyaml.Index(path+".allow", i), "is here twice", "remove one of them")
		}
	}
	for i, arg := range c.Args {
		if strings.ContainsRune(arg, 0) {
			k.report(strictyaml.Index(path+".args", i), "holds a zero byte", "remove it")
		}
	}
	for _, variable := range slices.Sorted(maps.Keys(c.Env)) {
		if !variableName.MatchString(variable) {
			k.report(strictyaml.Join(path+".env", variable), "is no name of an environment variable", "use letters, digits and _")
		}
	}
}
