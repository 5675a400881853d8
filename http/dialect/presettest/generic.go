package presettest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// page is what a proxy or a captive portal answers in the place of an API.
const page = "<!DOCTYPE html><html><body>Please log in</body></html>"

// generic are the endpoints that are known by their form alone.
func generic() []Fake {
	cases := []Case{
		delivered("taken", 200, ""),
		delivered("no content", 204, ""),
		temporary("not found", 404, "not found"),
		temporary("broken", 500, "oops"),
		temporary("busy, with no time", 503, ""),
		throttled("busy", 503, "", 2*time.Minute, "Retry-After", "120"),
		throttled("too many", 429, "", time.Second, "Retry-After", "1"),
	}
	return []Fake{
		{
			Preset: "generic-json", URL: "{server}/hook",
			Method: "POST", Path: "/hook", JSON: `{"message": "{message}"}`, Cases: cases,
		},
		{
			Preset: "generic-form", URL: "{server}/hook",
			Method: "POST", Path: "/hook", Form: map[string]string{"message": "{message}"}, Cases: cases,
		},
		{
			Preset: "generic-get", URL: "{server}/hook?key=k",
			Method: "GET", Path: "/hook", Query: map[string]string{"key": "k", "message": "{message}"}, Cases: cases,
		},
		{
			Preset: "generic-xml", URL: "{server}/hook",
			Method: "POST", Path: "/hook", XML: `<message id="{id}"><text>{message}</text></message>`, Cases: cases,
		},
		{
			Preset: "standard-webhooks", URL: "{server}/webhooks",
			Settings: map[string]string{
				"secret":   "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of twenty-four.")),
				"previous": "whsec_" + base64.StdEncoding.EncodeToString([]byte("the one that was before.")),
			},
			Method: "POST", Path: "/webhooks",
			Header: map[string]string{"Webhook-Id": "{uuid}", "Webhook-Timestamp": anyText, "Webhook-Signature": anyText},
			JSON:   `{"type": "message.created", "data": {"id": "{id}", "message": "{message}"}}`,
			Verify: verifyStandardWebhook,
			Cases: []Case{
				delivered("taken", 204, ""),
				delivered("accepted", 202, ""),
				permanent("gone", 410, ""),
				temporary("not found", 404, ""),
				temporary("bad gateway", 502, ""),
				throttled("too many", 429, "", 30*time.Second, "Retry-After", "30"),
				throttled("gateway timeout with a time", 504, "", time.Minute, "Retry-After", "60"),
			},
		},
	}
}

// verifyStandardWebhook wants a signature by each of the two secrets, as during a
// rotation, the current one first.
func verifyStandardWebhook(r Request, now time.Time) error {
	stamp := r.Header.Get("Webhook-Timestamp")
	if err := fresh(stamp, time.Second, 5*time.Minute, now); err != nil {
		return err
	}
	signed := r.Header.Get("Webhook-Id") + "." + stamp + "." + string(r.Body)
	want := "v1," + sign("a secret of twenty-four.", signed) + " v1," + sign("the one that was before.", signed)
	if got := r.Header.Get("Webhook-Signature"); got != want {
		return fmt.Errorf("webhook-signature is %q, want %q", got, want)
	}
	return nil
}

func sign(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// fresh checks a timestamp counted in units, which may be off by so much.
func fresh(stamp string, unit, tolerance time.Duration, now time.Time) error {
	n, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || strings.HasPrefix(stamp, "+") {
		return errors.New("timestamp is not a number")
	}
	at := time.Unix(0, 0).Add(time.Duration(n) * unit)
	if off := at.Sub(now).Abs(); off > tolerance {
		return fmt.Errorf("timestamp is off by %v", off)
	}
	return nil
}
