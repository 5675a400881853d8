package presettest

import "time"

// sms are the aggregators of short messages.
func sms() []Fake {
	return []Fake{
		{
			Preset: "twilio", Host: "api.twilio.com", To: "+14155552345",
			Settings: map[string]string{"account_sid": "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "auth_token": "your_auth_token", "from": "+15557122661"},
			Method:   "POST", Path: "/2010-04-01/Accounts/ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/Messages.json",
			Header: map[string]string{"Authorization": basic("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "your_auth_token")},
			Form:   map[string]string{"To": "{to}", "From": "+15557122661", "Body": "{message}"},
			Cases: []Case{
				delivered("queued", 201, `{"account_sid": "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "body": "x", "error_code": null, "error_message": null, "sid": "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "status": "queued"}`),
				temporary("200, which it never answers", 200, page),
				permanent("not a number", 400, `{"code": 21211, "message": "Invalid 'To' Phone Number: 123", "more_info": "https://www.twilio.com/docs/errors/21211", "status": 400}`),
				permanent("unsubscribed", 400, `{"code": 21610, "message": "Attempt to send to unsubscribed recipient", "more_info": "https://www.twilio.com/docs/errors/21610", "status": 400}`),
				permanent("wrong token", 401, `{"code": 20003, "message": "Authenticate", "more_info": "https://www.twilio.com/docs/errors/20003", "status": 401}`),
				throttled("too many", 429, `{"code": 20429, "message": "Too Many Requests", "more_info": "https://www.twilio.com/docs/errors/20429", "status": 429}`, 10*time.Second),
				throttled("too many with a time", 429, `{"code": 20429, "message": "Too Many Requests", "more_info": "https://www.twilio.com/docs/errors/20429", "status": 429}`, time.Minute, "Retry-After", "60"),
				temporary("broken", 500, `{"code": 20500, "message": "An internal server error has occurred", "more_info": "https://www.twilio.com/docs/errors/20500", "status": 500}`),
			},
		},
		{
			Preset: "vonage", Host: "rest.nexmo.com", To: "447700900000",
			Settings: map[string]string{"api_key": "abcd1234", "api_secret": "abcdef0123456789", "from": "AcmeInc"},
			Method:   "POST", Path: "/sms/json",
			Form: map[string]string{
				"api_key": "abcd1234", "api_secret": "abcdef0123456789", "from": "AcmeInc", "to": "{to}", "text": "{message}", "type": "unicode", "client-ref": "{id}",
			},
			Cases: []Case{
				delivered("sent", 200, `{"message-count":"1","messages":[{"to":"447700900000","message-id":"0A0000000123ABCD1","status":"0","remaining-balance":"3.14159265","message-price":"0.03330000","network":"12345"}]}`),
				delivered("sent in two parts", 200, `{"message-count":"2","messages":[{"to":"447700900000","message-id":"0A1","status":"0"},{"to":"447700900000","message-id":"0A2","status":"0"}]}`),
				permanent("200 with missing parameter", 200, `{"message-count":"1","messages":[{"status":"2","error-text":"Missing to param"}]}`),
				permanent("200 with invalid credentials", 200, `{"message-count":"1","messages":[{"status":"4","error-text":"Bad Credentials"}]}`),
				permanent("200 with sender", 200, `{"message-count":"1","messages":[{"status":"15","error-text":"Illegal Sender Address - rejected"}]}`),
				throttled("200 with throttled", 200, `{"message-count":"1","messages":[{"status":"1","error-text":"Throughput Rate Exceeded - please wait [ 50 ] and retry"}]}`, time.Second),
				throttled("200 with too many binds", 200, `{"message-count":"1","messages":[{"status":"10","error-text":"Too many existing binds"}]}`, time.Second),
				temporary("200 with internal error", 200, `{"message-count":"1","messages":[{"status":"5","error-text":"Internal Error"}]}`),
				temporary("200 with no credit", 200, `{"message-count":"1","messages":[{"status":"9","error-text":"Quota Exceeded - rejected"}]}`),
				temporary("200 with half of the parts", 200, `{"message-count":"2","messages":[{"to":"447700900000","message-id":"0A1","status":"0"},{"status":"5","error-text":"Internal Error"}]}`),
				temporary("200 with no messages", 200, `{"message-count":"0","messages":[]}`),
				temporary("200 with the status as a number", 200, `{"message-count":"1","messages":[{"status":0}]}`),
				temporary("200 that is not Vonage's", 200, page),
				temporary("broken", 500, ""),
			},
		},
		{
			Preset: "sms-ru", Host: "sms.ru", To: "79255070602",
			Settings: map[string]string{"api_id": "00000000-0000-0000-0000-000000000000"},
			Method:   "POST", Path: "/sms/send",
			Form: map[string]string{"api_id": "00000000-0000-0000-0000-000000000000", "to": "{to}", "msg": "{message}", "json": "1"},
			Cases: []Case{
				delivered("sent", 200, `{"status":"OK","status_code":100,"sms":{"79255070602":{"status":"OK","status_code":100,"sms_id":"000000-10000000"}},"balance":4122.56}`),
				permanent("200 with the number refused", 200, `{"status":"OK","status_code":100,"sms":{"79255070602":{"status":"ERROR","status_code":207,"status_text":"На этот номер нельзя отправлять сообщения"}},"balance":4122.56}`),
				permanent("200 with a wrong api_id", 200, `{"status":"ERROR","status_code":200,"status_text":"Неправильный api_id"}`),
				temporary("200 with no money", 200, `{"status":"OK","status_code":100,"sms":{"79255070602":{"status":"ERROR","status_code":201,"status_text":"Не хватает средств на лицевом счету"}},"balance":0}`),
				temporary("200 with not available", 200, `{"status":"ERROR","status_code":220,"status_text":"Сервис временно недоступен, попробуйте чуть позже"}`),
				temporary("200 with the same within a minute", 200, `{"status":"OK","status_code":100,"sms":{"79255070602":{"status":"ERROR","status_code":231,"status_text":"Превышен лимит одинаковых сообщений на этот номер в минуту"}}}`),
				temporary("200 with no number", 200, `{"status":"OK","status_code":100,"sms":{},"balance":4122.56}`),
				temporary("200 that is not SMS.RU's", 200, page),
				temporary("unavailable", 503, page),
			},
		},
	}
}

// mail are the senders of e-mail.
func mail() []Fake {
	return []Fake{
		{
			Preset: "mailgun", To: "bob@example.com",
			Settings: map[string]string{"server": "{server}", "domain": "mg.example.com", "key": "key-3ax6xnjp29jd6fds4gc373sgvjxteol0", "from": "Excited User <user@mg.example.com>"},
			Method:   "POST", Path: "/v3/mg.example.com/messages",
			Header: map[string]string{"Authorization": basic("api", "key-3ax6xnjp29jd6fds4gc373sgvjxteol0")},
			Form:   map[string]string{"from": "Excited User <user@mg.example.com>", "to": "{to}", "subject": "{title}", "text": "{message}"},
			Cases: []Case{
				delivered("queued", 200, `{"message": "Queued. Thank you.", "id": "<20111114174239.25659.5817@samples.mailgun.org>"}`),
				permanent("address", 400, `{"message": "to parameter is not a valid address. please check documentation"}`),
				permanent("wrong key", 401, "Forbidden"),
				permanent("no such domain", 404, `{"message": "Domain not found: mg.example.com"}`),
				permanent("too large", 413, `{"message": "request size exceeds 52.4MiB limit"}`),
				temporary("too many, with the time in a sentence", 429, `{"message": "Domain mg.example.com is not allowed to send: request limit exceeded, try again after Mon, 20 Dec 2021 20:33:21 UTC"}`),
				throttled("too many with a time", 429, "", time.Minute, "Retry-After", "60"),
				temporary("broken", 500, `{"message": "Internal Server Error"}`),
			},
		},
		{
			Preset: "sendgrid", Host: "api.sendgrid.com", To: "bob@example.com",
			Settings: map[string]string{"key": "SG.abc.def", "from": "alice@example.org"},
			Method:   "POST", Path: "/v3/mail/send",
			Header: map[string]string{"Authorization": "Bearer SG.abc.def"},
			JSON: `{"personalizations": [{"to": [{"email": "{to}"}]}], "from": {"email": "alice@example.org"}, "subject": "{title}",
				"content": [{"type": "text/plain", "value": "{message}"}]}`,
			Cases: []Case{
				delivered("accepted", 202, ""),
				temporary("200, which it answers only in the sandbox", 200, ""),
				permanent("address", 400, `{"errors":[{"message":"Does not contain a valid address.","field":"personalizations.0.to.0.email","help":"http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message.personalizations.to"}]}`),
				permanent("wrong key", 401, `{"errors":[{"message":"The provided authorization grant is invalid, expired, or revoked","field":null,"help":null}]}`),
				permanent("sender", 403, `{"errors":[{"message":"The from address does not match a verified Sender Identity.","field":"from","help":null}]}`),
				permanent("too large", 413, `{"errors":[{"message":"Too large","field":null,"help":null}]}`),
				throttled("too many", 429, `{"errors":[{"field":null,"message":"too many requests"}]}`, untilUnix(time.Minute), "X-RateLimit-Limit", "150", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", unix(time.Minute)),
				temporary("too many with no time", 429, `{"errors":[{"field":null,"message":"too many requests"}]}`),
				temporary("broken", 500, `{"errors":[{"message":"Internal Server Error"}]}`),
			},
		},
	}
}
