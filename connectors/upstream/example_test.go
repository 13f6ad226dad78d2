package upstream_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"google.golang.org/grpc/status"

	"github.com/countersign/countersign/connectors/upstream"
)

func Example() {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/tickets/A-1" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"open":true}`)
	}))
	defer far.Close()

	client, err := upstream.New(upstream.Options{BaseURL: far.URL, Authorize: upstream.Header("X-Api-Key", "secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for _, number := range []string{"A-1", "A-2"} {
		var ticket struct {
			Open bool `json:"open"`
		}
		_, err := client.JSON(context.Background(), upstream.Request{Path: upstream.Path("tickets", number)}, &ticket)
		fmt.Println(number, ticket.Open, status.Code(err))
	}
	// Output:
	// A-1 true OK
	// A-2 false NotFound
}
