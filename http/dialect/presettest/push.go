package presettest

import "time"

// push are the notification services.
func push() []Fake {
	const quota = `{"status":0,"errors":["application has exceeded its monthly message limit"],"request":"5042853c-402d-4a18-abcb-168734a801de"}`
	return []Fake{
		{
			Preset: "ntfy", Settings: map[string]string{"server": "{server}", "topic": "mytopic"},
			Method: "POST", Path: "/",
			JSON: `{"topic": "mytopic", "message": "{message}", "title": "{?title}"}`,
			Cases: []Case{
				delivered("published", 200, `{"id":"sPs71M8A2T","time":1767323045,"expires":1767366245,"event":"message","topic":"mytopic","message":"x"}`+"\n"),
				permanent("topic", 400, `{"code":40009,"http":400,"error":"invalid request: topic invalid"}`+"\n"),
				permanent("unauthorized", 401, `{"code":40101,"http":401,"error":"unauthorized","link":"https://ntfy.sh/docs/publish/#authentication"}`+"\n"),
				permanent("forbidden", 403, `{"code":40301,"http":403,"error":"forbidden","link":"https://ntfy.sh/docs/publish/#authentication"}`+"\n"),
				permanent("too large", 413, `{"code":41303,"http":413,"error":"JSON body too large"}`+"\n"),
				throttled("too many", 429, `{"code":42901,"http":429,"error":"limit reached: too many requests","link":"https://ntfy.sh/docs/publish/#limitations"}`+"\n", time.Minute),
				throttled("daily quota", 429, `{"code":42908,"http":429,"error":"limit reached: daily message quota reached","link":"https://ntfy.sh/docs/publish/#limitations"}`+"\n", time.Minute),
				temporary("broken", 500, `{"code":50001,"http":500,"error":"internal server error"}`+"\n"),
			},
		},
		{
			Preset: "gotify", Settings: map[string]string{"server": "{server}", "token": "AWH0wZ5r0Mbac.r"},
			Method: "POST", Path: "/message",
			Header: map[string]string{"X-Gotify-Key": "AWH0wZ5r0Mbac.r"},
			JSON:   `{"message": "{message}", "title": "{?title}"}`,
			Cases: []Case{
				delivered("created", 200, `{"id":25,"appid":5,"message":"x","title":"y","priority":2,"date":"2018-02-27T19:36:10.5045044+01:00"}`),
				permanent("message is required", 400, `{"error":"Bad Request","errorCode":400,"errorDescription":"Field 'message' is required"}`),
				permanent("unauthorized", 401, `{"error":"Unauthorized","errorCode":401,"errorDescription":"you need to provide a valid access token or user credentials to access this api"}`),
				permanent("forbidden", 403, `{"error":"Forbidden","errorCode":403,"errorDescription":"you are not allowed to access this api"}`),
				temporary("broken", 500, `{"error":"Internal Server Error","errorCode":500,"errorDescription":"database is locked"}`),
			},
		},
		{
			Preset: "pushover", Host: "api.pushover.net",
			Settings: map[string]string{"token": "azGDORePK8gMaC0QOYAMyEEuzJnyUi", "user": "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"},
			Method:   "POST", Path: "/1/messages.json",
			JSON: `{"token": "azGDORePK8gMaC0QOYAMyEEuzJnyUi", "user": "uQiRzpo4DXghDmr9QzzfQu27cmVRsG", "message": "{message}", "title": "{?title}"}`,
			Cases: []Case{
				delivered("queued", 200, `{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}`),
				temporary("200 with another status", 200, `{"status":0,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}`),
				temporary("200 that is not Pushover's", 200, page),
				permanent("user is invalid", 400, `{"user":"invalid","errors":["user identifier is invalid"],"status":0,"request":"5042853c-402d-4a18-abcb-168734a801de"}`),
				throttled("monthly limit", 429, quota, untilUnix(90*time.Minute), "X-Limit-App-Limit", "10000", "X-Limit-App-Remaining", "0", "X-Limit-App-Reset", unix(90*time.Minute)),
				temporary("monthly limit with no time", 429, quota),
				temporary("broken", 500, page),
			},
		},
	}
}

// alerts are the receivers of alerts.
func alerts() []Fake {
	return []Fake{
		{
			Preset: "pagerduty", Host: "events.pagerduty.com",
			Settings: map[string]string{"routing_key": "e93facc04764012d7bfb002500d5d1a6", "severity": "critical", "source": "prod-datapipe03.example.com"},
			Method:   "POST", Path: "/v2/enqueue",
			JSON: `{"routing_key": "e93facc04764012d7bfb002500d5d1a6", "event_action": "trigger", "dedup_key": "{uuid}",
				"payload": {"summary": "{message}", "source": "prod-datapipe03.example.com", "severity": "critical"}}`,
			Cases: []Case{
				delivered("processed", 202, `{"status":"success","message":"Event processed","dedup_key":"srv01/HTTP"}`),
				permanent("invalid event", 400, `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}`),
				throttled("too many", 429, `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly.  Please retry later.","errors":["Enhance Your Calm."]}`, 2*time.Minute),
				throttled("too many, not by the API", 429, page, 2*time.Minute),
				temporary("broken", 500, `{"status":"Internal Server Error","message":"error"}`),
				temporary("200, which it never answers", 200, page),
			},
		},
		{
			Preset: "alertmanager", Settings: map[string]string{"server": "{server}"},
			Method: "POST", Path: "/api/v2/alerts",
			JSON: `[{"labels": {"alertname": "Postrider", "severity": "warning", "gateway": "{gateway}", "message_id": "{id}"},
				"annotations": {"description": "{message}", "summary": "{?title}"}}]`,
			Cases: []Case{
				delivered("created", 200, ""),
				permanent("not valid", 400, `"start time must be before end time"`+"\n"),
				temporary("broken", 500, `"context canceled"`+"\n"),
				temporary("behind a proxy", 502, page),
			},
		},
	}
}
