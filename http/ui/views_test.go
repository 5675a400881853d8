package ui

import (
	"time"

	"github.com/postrider/postrider/data"
)

func calmOverview() Overview {
	return Overview{
		Frame: frame("Overview", SectionOverview), Gateways: 3, Started: before(time.Hour), Applied: before(time.Hour),
		Totals:  [data.States]uint64{data.Delivered: 1234567, data.Cancelled: 1},
		History: History{Step: 2 * time.Second, Messages: []float64{0, 2, 4, 20}, Delivered: []float64{0, 1, 5, 18}},
		Rates:   Rates{Messages: 10, Delivered: 9.5}, Store: Store{Accepting: true, Free: 5 << 30, Size: 12 << 20},
	}
}

func stuckOverview() Overview {
	v := calmOverview()
	v.Reloads = true
	v.Store = Store{Reasons: []string{"no disk space"}}
	v.Attention = []Attention{
		{Gateway: Gateway{Gateway: data.Gateway{Name: "parked", Problem: "body template does not parse " + evil}, Declared: true, Counts: [data.States]uint64{data.Queued: 12}}, Reason: ReasonParked},
		{Gateway: Gateway{Gateway: data.Gateway{Name: "down"}, Declared: true, Outage: true, Counts: [data.States]uint64{data.Waiting: 5, data.Failed: 1}, OldestAt: before(3 * time.Hour)}, Reason: ReasonOutage},
		{Gateway: Gateway{Gateway: data.Gateway{Name: "halted"}, Declared: true, Paused: true, Counts: [data.States]uint64{data.Queued: 2}}, Reason: ReasonPaused},
		{Gateway: Gateway{Gateway: data.Gateway{Name: "slow"}, Declared: true, Until: noon.Add(90 * time.Second), Counts: [data.States]uint64{data.Queued: 400}}, Reason: ReasonThrottled},
		{Gateway: Gateway{Gateway: data.Gateway{Name: "tired"}, Declared: true, Counts: [data.States]uint64{data.Expired: 3}}, Reason: ReasonDead},
	}
	v.Backlogs = []Gateway{{
		Gateway: data.Gateway{Name: "slow"}, Declared: true, Until: noon.Add(90 * time.Second),
		Counts: [data.States]uint64{data.Queued: 400}, OldestAt: before(time.Minute),
		Last: data.Attempt{Number: 1, BeganAt: before(time.Second), Result: data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled}},
	}}
	v.Refused, v.Mistakes, v.Restart = noon, 2, []string{"http.port"}
	return v
}

func gatewayList() Gateways {
	return Gateways{
		Frame: frame("Gateways", SectionGateways), Next: "/gateways?after=b", Step: 2 * time.Second,
		List: []Gateway{
			{Gateway: data.Gateway{Name: "a", Preset: "slack"}, Declared: true, Delivered: []float64{1, 3}, Failed: []float64{0, 1}, Counts: [data.States]uint64{data.Delivered: 1200, data.Failed: 2}},
			{Gateway: data.Gateway{Name: "b"}, Counts: [data.States]uint64{data.Queued: 1}},
			{Gateway: data.Gateway{Name: "c", Problem: "body template does not parse"}, Declared: true, Paused: true},
		},
	}
}

func heldGateway() GatewayPage {
	f := frame("sms", SectionGateways)
	f.Said = SaidResumed
	return GatewayPage{
		Frame: f, Step: 2 * time.Second,
		Gateway: Gateway{
			Gateway: data.Gateway{
				Name: "sms", Method: "POST", URL: "https://api.example.com/bot***/send" + evil, Body: "form", Auth: "bearer", Needs: []string{"to", evil},
				Policy: data.Policy{MaxAttempts: 3, Interval: time.Minute, MaxHint: time.Hour}, Timeout: 10 * time.Second, Concurrency: 16, Rate: 1.5, MaxQueue: 5000, HoldAfter: 5,
			},
			Declared: true, Origin: "api", Until: noon.Add(26 * time.Hour), OldestAt: before(48 * time.Hour),
			Counts: [data.States]uint64{data.Waiting: 1, data.Failed: 2},
			Last: data.Attempt{
				Number: 2, Began: 1, Ended: 1 + data.StoreTime(1500*time.Millisecond), BeganAt: before(time.Minute),
				Result: data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: 26 * time.Hour, Answer: evil},
			},
		},
	}
}

func triedGateway() GatewayPage {
	v := heldGateway()
	v.Trial = Trial{
		Text: typed, Recipient: `"`, Params: "a=<b>", Problems: []string{"/to: the field is missing " + evil}, Unsent: 2,
		Requests: []Request{{Method: "POST", URL: "https://api.example.com/bot***" + evil, Header: []Field{{"Authorization", "Bearer ***"}, {"Title", evil}}, Body: `{"text":"` + evil + `"}`}},
		Results:  []Result{{Result: data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseStatus, Status: 400, Answer: evil}, Took: 12 * time.Millisecond}},
	}
	return v
}

func messageList() Messages {
	return Messages{
		Frame: frame("Messages", SectionMessages), Filter: Filter{Gateway: evil, State: "dead", Cause: "refused", Since: evil, Until: evil}, Next: "/messages?after=x", First: "/messages",
		Resend: "/messages/resend?state=dead",
		List: []data.Message{
			{ID: data.FirstID(1), Gateway: "a", State: data.Failed, Text: evil, AcceptedAt: before(time.Hour), ResentAs: 7},
			{ID: data.FirstID(1) + 1, Gateway: "b", State: data.Unknown, Text: "two\nlines", AcceptedAt: before(time.Minute)},
		},
	}
}

func waitingMessage() MessagePage {
	return MessagePage{Frame: frame("Message", SectionMessages), Message: data.Message{
		ID: data.FirstID(1), Gateway: "a", State: data.Waiting, Text: evil, To: evil, Title: evil, Params: map[string]string{evil: evil},
		AcceptedAt: before(2 * time.Minute), DueAt: noon.Add(time.Minute), Event: 5, ResendOf: 6, ExpiresAt: noon.Add(time.Hour),
		Attempts: []data.Attempt{{
			Number: 1, Began: 1, Ended: 1 + data.StoreTime(time.Second), BeganAt: before(time.Minute),
			Result: data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus, Status: 500, Answer: evil},
		}},
	}}
}

func askedResend() Resend {
	return Resend{Frame: frame("Send again", SectionMessages), Filter: Filter{Gateway: "a", State: "dead"}, Matching: 2345, Back: "/messages?state=dead"}
}

func runningResend() Resend {
	v := askedResend()
	v.Running, v.After, v.Sent, v.Skipped = true, "m12", 990, 10
	return v
}

func eventList() Events {
	return Events{
		Frame: frame("Events", SectionEvents), Type: evil, Newest: true, Tail: "/api/v1/events/tail?event_type=x", Next: "/events?before=x",
		List: []data.Event{{ID: data.FirstID(1), Type: evil, Payload: evil, ReceivedAt: before(time.Second)}},
	}
}

func oneEvent() EventPage {
	return EventPage{
		Frame: frame("Event", SectionEvents), Event: data.Event{ID: data.FirstID(1), Type: evil, Payload: evil, ReceivedAt: before(time.Second)},
		Messages: []data.Message{{ID: data.FirstID(1) + 1, Gateway: "a", State: data.Delivered}},
	}
}

func someConfig() Config {
	return Config{
		Frame: frame("Configuration", SectionConfig), YAML: "http:\n  port: 5000 # <b> " + evil + "\n", Reloads: true,
		AppliedAt: before(time.Hour), RefusedAt: before(time.Minute), MistakeCount: 1, NeedsRestart: []string{"http.port"},
		Mistakes: []Mistake{{Key: "gateways.x.url" + evil, Text: "is no URL" + evil}},
		Routes:   []Route{{Match: []Field{{"event_type" + evil, "user_*" + evil}}, Gateways: []string{"a", "b"}, Message: "{{event_payload}} is here" + evil}}, More: 3,
	}
}
