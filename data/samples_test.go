package data_test

import (
	"encoding/json"
	"testing"

	"github.com/postrider/postrider/data"
)

func TestSamples(t *testing.T) {
	samples := data.Samples()
	if len(samples) != 11 {
		t.Errorf("there are %d samples; want 11", len(samples))
	}
	var refused []string
	for _, raw := range samples {
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatalf("read %s: %v", raw, err)
		}
		_, kind := fields["event_type"].(string)
		_, payload := fields["event_payload"].(string)
		if kind && payload && len(fields) == 2 {
			continue
		}
		refused = append(refused, string(raw))
		object, ok := fields["event_payload"].(map[string]any)
		if fields["event_type"] != 123.0 || !ok || len(object) != 0 {
			t.Errorf("%s is refused and not the standard one", raw)
		}
	}
	if len(refused) != 1 {
		t.Errorf("%d samples are no events: %v; want 1", len(refused), refused)
	}
}

func TestParseSamples(t *testing.T) {
	for _, good := range []string{`[1]`, `[null, "x", {"a": []}]`, " [\n{}]\n"} {
		if _, err := data.ParseSamples([]byte(good)); err != nil {
			t.Errorf("ParseSamples(%s) = %v", good, err)
		}
	}
	for _, bad := range []string{``, `[]`, `null`, `{}`, `{"event_type": "x"}`, `[1`, `[1] [2]`} {
		if got, err := data.ParseSamples([]byte(bad)); err == nil {
			t.Errorf("ParseSamples(%s) = %s; want an error", bad, got)
		}
	}
}
