package main

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
)

type user struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// findUser finds the id of the one user with an address. PagerDuty's query is a substring of name or
// address, so its hits prove nothing: all pages are read and compared, and exactly one must fit.
func (a *account) findUser(ctx context.Context, email string) (string, error) {
	address := upstream.Email(email)
	if address == "" {
		return "", finding.BadQuestion("email is no mail address")
	}
	if id := a.users.get(address, a.now()); id != "" {
		return id, nil
	}
	l := listing{collection: "users", query: url.Values{"query": {address}}}
	hits, err := list(ctx, a, l, func(p page) []user { return p.Users })
	if err != nil {
		return "", err
	}
	id, err := only(hits, address)
	if err != nil {
		return "", err
	}
	a.users.put(address, id, a.now())
	return id, nil
}

func only(hits []user, address string) (string, error) {
	var ids []string
	for _, u := range hits {
		if upstream.Email(u.Email) == address {
			ids = append(ids, u.ID)
		}
	}
	switch {
	case len(ids) == 0:
		return "", finding.NotFound("no PagerDuty user has this address")
	case len(ids) > 1:
		return "", finding.Ambiguous("%d PagerDuty users have this address", len(ids))
	case !isID(ids[0]):
		return "", finding.Malformed("GET /users: a user has no id")
	}
	return ids[0], nil
}

// address reads the mail address of a user; it is empty if the user is gone or may not be read.
func (a *account) address(ctx context.Context, id string) (string, error) {
	var answer struct {
		User *user `json:"user"`
	}
	_, err := a.client.JSON(ctx, upstream.Request{Path: upstream.Path("users", id), Template: "/users/{id}"}, &answer)
	switch {
	case err == nil && answer.User != nil && answer.User.ID == id:
		return upstream.Email(answer.User.Email), nil
	case err == nil, isMissing(err), isDenied(err):
		return "", nil
	default:
		return "", err
	}
}

// maxUsers bounds the cache; beyond it, it starts anew.
const maxUsers = 10_000

// userCache remembers which id an address has. It keeps hits only: somebody who was not found is looked
// up again every time.
type userCache struct {
	life time.Duration

	mu    sync.Mutex
	users map[string]remembered
}

type remembered struct {
	id string
	at time.Time
}

func newUserCache(life time.Duration) *userCache {
	return &userCache{life: life, users: map[string]remembered{}}
}

func (c *userCache) get(address string, now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, ok := c.users[address]
	if !ok || now.Before(u.at) || now.Sub(u.at) >= c.life {
		return ""
	}
	return u.id
}

func (c *userCache) put(address, id string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.users) >= maxUsers {
		clear(c.users)
	}
	c.users[address] = remembered{id, now}
}
