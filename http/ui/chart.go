package ui

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// History is what happened in each step of time, oldest first.
type History struct {
	Step                                time.Duration
	Events, Messages, Delivered, Failed []float64
}

// The size of a chart, in units of its own: it is stretched to the space that it has.
const (
	chartWidth  = 600
	chartHeight = 160
	sparkWidth  = 100
	sparkHeight = 24
)

// chart is a history, drawn.
type chart struct {
	Width, Height int
	Lines         []chartLine
	Top           string // what the upper edge stands for, per second
	Half          string
	Span          string // how long the time from left to right is
}

type chartLine struct{ Name, Class, Points string }

// chart draws a history. The script draws the same way.
func (h History) chart() chart {
	series := []struct {
		name, class string
		counts      []float64
	}{
		{"events in", "events", h.Events},
		{"messages in", "messages", h.Messages},
		{"delivered", "delivered", h.Delivered},
		{"failed", "failed", h.Failed},
	}
	step := max(h.Step, time.Millisecond)
	most, steps := 0.0, 0
	for _, s := range series {
		for _, n := range s.counts {
			most = max(most, n)
		}
		steps = max(steps, len(s.counts))
	}
	top := ceiling(most / step.Seconds())
	drawn := chart{
		Width: chartWidth, Height: chartHeight, Top: rate(top), Half: rate(top / 2),
		Span: span(time.Duration(steps) * step),
	}
	for _, s := range series {
		drawn.Lines = append(drawn.Lines, chartLine{s.name, s.class, points(s.counts, top*step.Seconds(), chartWidth, chartHeight)})
	}
	return drawn
}

// ceiling is the next of 1, 2, 5, 10, 20, 50 and so on.
func ceiling(most float64) float64 {
	if most <= 1 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, step := range []float64{1, 2, 5} {
		if most <= step*power {
			return step * power
		}
	}
	return 10 * power
}

// points lays values out from left to right, the greatest at the upper edge.
func points(values []float64, top float64, width, height int) string {
	if len(values) == 0 || top <= 0 {
		return ""
	}
	var b strings.Builder
	across := float64(width) / float64(max(1, len(values)-1))
	for i, v := range values {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatFloat(float64(i)*across, 'f', 1, 64))
		b.WriteByte(',')
		b.WriteString(strconv.FormatFloat((1-min(1, v/top))*float64(height), 'f', 1, 64))
	}
	return b.String()
}

// spark is a small picture of a gateway's history.
type spark struct {
	Width, Height     int
	Delivered, Failed string
	Label             string
}

func (g Gateway) spark(step time.Duration) spark {
	most, delivered, failed := 1.0, 0.0, 0.0
	for _, n := range g.Delivered {
		most, delivered = max(most, n), delivered+n
	}
	for _, n := range g.Failed {
		most, failed = max(most, n), failed+n
	}
	steps := max(len(g.Delivered), len(g.Failed))
	drawn := spark{
		Width: sparkWidth, Height: sparkHeight,
		Label: number(int64(delivered)) + " delivered, " + number(int64(failed)) + " failed in the last " +
			span(time.Duration(steps)*step),
	}
	if delivered > 0 {
		drawn.Delivered = points(g.Delivered, most, sparkWidth, sparkHeight)
	}
	if failed > 0 {
		drawn.Failed = points(g.Failed, most, sparkWidth, sparkHeight)
	}
	return drawn
}
