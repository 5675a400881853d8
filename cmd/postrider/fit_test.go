package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

// TestFit stores what the dialect makes of a message, whichever of its fields that is.
func TestFit(t *testing.T) {
	d, err := dialect.Compile(dialect.Declaration{
		URL:   "https://example.org/",
		Body:  dialect.Body{JSON: map[string]any{"code": "{{params.code}}", "text": "{{message}}"}},
		Needs: []string{"params.code"},
		Length: []dialect.Length{
			{Field: "params.code", Limit: 5, Unit: dialect.Characters, Over: dialect.Truncate},
			{Field: "message", Limit: 20, Unit: dialect.Characters, Over: dialect.Split},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &catalog{entries: map[string]entry{"g": {dialect: d}}}
	message := func(text, code string) data.NewMessage {
		return data.NewMessage{Gateway: "g", Text: text, Params: map[string]string{"code": code}, MaxQueue: 7}
	}
	if parts, faults := c.entries["g"].fit(message("short", "1234")); parts != nil || faults != nil {
		t.Errorf("what fits becomes %+v, %+v; want it as it is", parts, faults)
	}
	parts, faults := c.entries["g"].fit(message("short", "123456789"))
	if len(parts) != 1 || faults != nil || parts[0].Text != "short" || parts[0].MaxQueue != 7 || !maps.Equal(parts[0].Params, map[string]string{"code": "1234…"}) {
		t.Errorf("a long parameter becomes %+v, %+v", parts, faults)
	}
	parts, faults = c.entries["g"].fit(message(strings.Repeat("word ", 10), "1"))
	if len(parts) < 2 || faults != nil || parts[1].Gateway != "g" {
		t.Errorf("a long text becomes %+v, %+v", parts, faults)
	}
	parts, faults = c.entries["g"].fit(data.NewMessage{Gateway: "g", Text: "x"})
	if parts != nil || len(faults) != 1 || faults[0].Pointer != "/params/code" {
		t.Errorf("without what is needed it becomes %+v, %+v", parts, faults)
	}
	if parts, faults := c.entries["unusable"].fit(data.NewMessage{Gateway: "unusable", Text: "x"}); parts != nil || faults != nil {
		t.Errorf("for a gateway without a dialect it becomes %+v, %+v", parts, faults)
	}
}
