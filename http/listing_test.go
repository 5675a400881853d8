package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/postrider/postrider/data"
)

// escaped is a text that is six times as long in JSON.
func escaped(n int) string { return strings.Repeat("\x01", n) }

// A page ends by what it is as JSON, and the next one goes on behind it.
func TestPagesAreBoundedAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	store := newStore()
	store.gateways = nil
	var ids, names []string
	for i := range 20 {
		id := data.FirstID(1) + data.ID(i)
		size := []int{50_000, 0, pageBytes/6 + 1, 1000}[i%4] // one alone is more than a page
		store.events = append(store.events, data.Event{ID: id, Type: "escaped", Payload: escaped(size)})
		store.messages = append(store.messages, data.Message{ID: id, Gateway: "gateway_1", Text: escaped(size), State: data.Queued})
		ids = append(ids, id.String())
		names = append(names, fmt.Sprintf("gateway_%02d", i))
		store.gateways = append(store.gateways, data.Gateway{Name: names[i], Problem: escaped(size)})
	}
	server := newServer(t, store)
	longest := pageBytes + 6*(pageBytes/6+1) + 2000
	cases := []struct {
		path string
		want []string
	}{
		{"/api/v1/events?limit=1000", ids},
		{"/api/v1/messages?limit=1000", ids},
		{"/api/v1/gateways?limit=1000", names},
		{"/api/v1/gateways?", names},
	}
	for _, c := range cases {
		var seen []string
		pages := 0
		for after := ""; ; pages++ {
			got := do(t, server, "GET", c.path+"&after="+after, "")
			if got.status != 200 || len(got.body) > longest {
				t.Fatalf("GET %s after %q = %d, %d bytes; want 200 and %d at most", c.path, after, got.status, len(got.body), longest)
			}
			entries, next := entriesOf(t, got.body)
			seen = append(seen, entries...)
			if len(entries) == 0 {
				t.Fatalf("GET %s after %q has no entry", c.path, after)
			}
			if next == nil {
				break
			}
			after = *next
		}
		if got, want := strings.Join(seen, " "), strings.Join(c.want, " "); got != want {
			t.Errorf("GET %s gives over all pages\n%s, want\n%s", c.path, got, want)
		}
		if pages < 4 { // as often as something follows an entry longer than a page
			t.Errorf("GET %s goes on %d times, want 4 at least", c.path, pages)
		}
	}
}

// entriesOf reads a page of any list.
func entriesOf(tb testing.TB, body string) (entries []string, next *string) {
	tb.Helper()
	if ids, next := pageOf(tb, body); len(ids) > 0 {
		return ids, next
	}
	var page struct {
		Gateways []struct {
			Name string `json:"name"`
		} `json:"gateways"`
		Next *string `json:"next"`
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		tb.Fatalf("read a page: %v", err)
	}
	for _, g := range page.Gateways {
		entries = append(entries, g.Name)
	}
	return entries, page.Next
}
