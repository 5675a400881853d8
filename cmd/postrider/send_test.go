package main

import (
	"maps"
	"testing"
)

func TestSubmissionParams(t *testing.T) {
	var s submission
	if err := s.take([]string{"a=b=c", "d="}); err != nil || !maps.Equal(s.Params, map[string]string{"a": "b=c", "d": ""}) {
		t.Errorf("take = %v, %v", s.Params, err)
	}
	for _, wrong := range [][]string{{"a"}, {"=b"}, {"x=1", "x=2"}} {
		if err := new(submission).take(wrong); err == nil {
			t.Errorf("take(%q) = nil; want an error", wrong)
		}
	}
}
