package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

const (
	// rowsPerPage is the most that a dataset serves.
	rowsPerPage = 1000
	// maxPages bounds a reading: 50 000 records.
	maxPages = 50
	// readingTime bounds a reading as a whole. It goes on when the question that started it has been
	// answered "too late", so that the next one finds it done.
	readingTime = time.Minute
	// missAge is the age from which a directory that does not list somebody is read again before that is
	// believed.
	missAge = 30 * time.Second
)

// key is what a person is known by. What is empty was not asked for.
type key struct {
	number string
	email  string
}

func keyOf(q *employmentv1.GetEmploymentRequest) (key, error) {
	k := key{number: q.GetEmployeeNumber(), email: upstream.Email(q.GetEmail())}
	switch {
	case q.GetEmail() != "" && k.email == "":
		return k, finding.BadQuestion("email is no mail address")
	case len(k.number) > 64 || slices.ContainsFunc([]rune(k.number), unicode.IsControl):
		return k, finding.BadQuestion("employee_number is no employee number")
	case k == (key{}):
		return k, finding.BadQuestion("neither employee_number nor email is given")
	}
	return k, nil
}

// directory knows which record belongs to which employee number and address, and nothing else. It is read
// whole and compared here: BambooHR's filter expressions have no published quoting rules, its list of
// employees cannot be searched by address, and its employee numbers are no ids.
type directory struct {
	client    *upstream.Client
	email     string
	number    string
	life      time.Duration
	everybody bool
	closed    chan struct{}

	mu      sync.Mutex
	current *rows
	reading *reading
	work    sync.WaitGroup
}

// rows are the directory as it was read at one time.
type rows struct {
	all []row
	at  time.Time
}

// row is one record's keys.
type row struct {
	id     string
	number fact[string]
	email  fact[string]
}

// reading is one reading that is under way; done is closed when it is over.
type reading struct {
	done chan struct{}
	rows *rows
	err  error
}

func newDirectory(client *upstream.Client, c *bamboohrv1.Config) *directory {
	return &directory{
		client:    client,
		email:     or(c.GetDatasetEmailField(), "email"),
		number:    or(c.GetDatasetNumberField(), "employeeNumber"),
		life:      remember(c.GetRememberDirectory()),
		everybody: c.GetKeySeesEveryone(),
		closed:    make(chan struct{}),
	}
}

func (d *directory) close() {
	close(d.closed)
	d.work.Wait()
}

// find is the id of the one record that bears a key.
func (d *directory) find(ctx context.Context, who key, now time.Time) (string, error) {
	all, err := d.read(ctx, now, d.life)
	if err != nil {
		return "", err
	}
	hits := all.matching(who)
	if len(hits) == 0 && now.Sub(all.at) >= missAge {
		if all, err = d.read(ctx, now, missAge); err != nil {
			return "", err
		}
		hits = all.matching(who)
	}
	switch {
	case len(hits) > 1:
		return "", finding.Ambiguous("%d records bear this employee number or address", len(hits))
	case len(hits) == 0 && all.hide(who):
		return "", finding.BadQuestion("no record shows this employee number and address, but some hide theirs from the key")
	case len(hits) == 0:
		return "", d.absent("no record bears this employee number and address")
	}
	return hits[0], nil
}

// absent says that somebody is not there. It is knowledge only if the key sees everybody: otherwise the
// record may be one that is hidden from it.
func (d *directory) absent(why string) error {
	if d.everybody {
		return finding.NotFound("%s", why)
	}
	return finding.BadQuestion("%s, but the key may not see everybody (setting key_sees_everyone)", why)
}

func (d *directory) emailOf(id string) fact[string] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil {
		return fact[string]{}
	}
	for _, r := range d.current.all {
		if r.id == id && r.email.state == known && upstream.Email(r.email.value) != "" {
			return valueOf(upstream.Email(r.email.value))
		}
	}
	return fact[string]{}
}

// forget makes the next question read the directory again.
func (d *directory) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = nil
}

// read returns a directory that is younger than an age. Readings are shared, and one that has reached half
// of that age is read again while it is still in use.
func (d *directory) read(ctx context.Context, now time.Time, age time.Duration) (*rows, error) {
	d.mu.Lock()
	current, old := d.current, time.Duration(0)
	if current != nil {
		old = now.Sub(current.at)
	}
	usable := current != nil && old >= 0 && old < age
	if usable && old < age/2 {
		d.mu.Unlock()
		return current, nil
	}
	r := d.start(ctx, now)
	d.mu.Unlock()
	if usable {
		return current, nil
	}
	select {
	case <-r.done:
		return r.rows, r.err
	case <-ctx.Done():
		return nil, finding.Timeout("the directory is still being read")
	}
}

// start begins a reading unless one is under way. The caller holds the lock.
func (d *directory) start(ctx context.Context, now time.Time) *reading {
	if d.reading == nil {
		r := &reading{done: make(chan struct{})}
		d.reading = r
		ctx = context.WithoutCancel(ctx)
		d.work.Go(func() { d.run(ctx, r, now) })
	}
	return d.reading
}

// warm begins the first reading before anybody asks.
func (d *directory) warm(ctx context.Context, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start(ctx, now)
}

// run reads the directory, unless close comes first. Its age counts from the beginning.
func (d *directory) run(ctx context.Context, r *reading, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, readingTime)
	defer cancel()
	d.work.Go(func() {
		select {
		case <-d.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	all, err := d.pages(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	defer close(r.done)
	d.reading = nil
	if r.err = err; err == nil {
		r.rows = &rows{all, now}
		d.current = r.rows
	}
}

// pages reads all rows, ordered by id, since the pages of an unordered list may overlap and leave gaps.
func (d *directory) pages(ctx context.Context) ([]row, error) {
	var all []row
	for n := 1; n <= maxPages; n++ {
		p, err := d.page(ctx, n, rowsPerPage)
		if err != nil {
			return nil, err
		}
		for _, r := range p.Data {
			all = append(all, r.row(d.email, d.number))
		}
		switch {
		case p.Data == nil || p.Meta.TotalItems == nil:
			return nil, finding.Malformed("POST %s: answered no page of a dataset", template)
		case len(all) == *p.Meta.TotalItems:
			return all, checkIDs(all)
		case len(p.Data) < rowsPerPage:
			return nil, finding.Malformed("POST %s: answered fewer rows than it counts", template)
		}
	}
	return nil, finding.Malformed("POST %s: more than %d records, so the directory is not complete", template, maxPages*rowsPerPage)
}

// checkIDs refuses rows without an id of their own. Id 0 would lead to the record of whoever owns the key.
func checkIDs(all []row) error {
	seen := map[string]bool{}
	for _, r := range all {
		if !isID(r.id) || seen[r.id] {
			return finding.Malformed("POST %s: answered rows without an id of their own", template)
		}
		seen[r.id] = true
	}
	return nil
}

// isID says whether a text has the form of BambooHR's ids: a number from 1.
func isID(s string) bool {
	return s != "" && len(s) < 20 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

const template = "/api/v2/datasets/employee/data"

type datasetPage struct {
	Data []datasetRow `json:"data"`
	Meta struct {
		TotalItems *int `json:"totalItems"`
	} `json:"meta"`
}

type datasetRow struct {
	Fields     record   `json:"fields"`
	Restricted []string `json:"_restrictedFields"`
}

// row reads the keys. A field that is named as restricted is unknown, whatever its value looks like; the
// names stand beside the fields or among them.
func (r datasetRow) row(email, number string) row {
	get := func(name string) fact[string] {
		if slices.Contains(r.Restricted, name) {
			return fact[string]{}
		}
		return r.Fields.text(name)
	}
	return row{id: get("eeid").value, number: get(number), email: get(email)}
}

func (d *directory) page(ctx context.Context, n, size int) (*datasetPage, error) {
	var p datasetPage
	_, err := d.client.JSON(ctx, upstream.Request{
		Method: http.MethodPost,
		Path:   template,
		Body: map[string]any{
			"fields": []string{"eeid", d.email, d.number}, "orderBy": "eeid asc", "page": n, "pageSize": size,
		},
		Repeatable: true, // It is a question, whatever its method.
	}, &p)
	if status.Code(err) == codes.NotFound {
		return nil, finding.Denied("POST %s: answered 404, so the key may not use the dataset", template)
	}
	return &p, err
}

// probe reads one row and says whether its keys are hidden.
func (d *directory) probe(ctx context.Context) (hidden bool, err error) {
	p, err := d.page(ctx, 1, 1)
	if err != nil {
		return false, err
	}
	if len(p.Data) == 0 {
		return false, finding.Malformed("POST %s: answered no row", template)
	}
	r := p.Data[0].row(d.email, d.number)
	return r.email.state == unknown || r.number.state == unknown, nil
}

// matching are the ids of the rows that bear a key, compared exactly; addresses folded.
func (rs *rows) matching(who key) []string {
	var ids []string
	for _, r := range rs.all {
		number := who.number == "" || r.number.state == known && r.number.value == who.number
		email := who.email == "" || r.email.state == known && upstream.Email(r.email.value) == who.email
		if number && email {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// hide says whether a row that does not match could be the one, if only its keys could be viewed.
func (rs *rows) hide(who key) bool {
	return slices.ContainsFunc(rs.all, func(r row) bool {
		return who.number != "" && r.number.state == unknown || who.email != "" && r.email.state == unknown
	})
}
