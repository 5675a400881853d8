package presettest

import (
	"encoding/json"
	"fmt"
	"time"
)

// china are the robots of the Chinese office messengers, which answer 200 to
// everything.
func china() []Fake {
	return []Fake{
		{
			Preset: "dingtalk", Host: "oapi.dingtalk.com",
			Settings: map[string]string{"access_token": "566cc69da782ec", "secret": "SEC-this is secret"},
			Method:   "POST", Path: "/robot/send",
			Query:  map[string]string{"access_token": "566cc69da782ec", "timestamp": anyText, "sign": anyText},
			JSON:   `{"msgtype": "text", "text": {"content": "{message}"}}`,
			Verify: verifyDingTalk,
			Cases: []Case{
				delivered("ok", 200, `{"errcode":0,"errmsg":"ok"}`),
				permanent("200 with sign not match", 200, `{"errcode":310000,"errmsg":"sign not match"}`),
				permanent("200 with keywords not in content", 200, `{"errcode":310000,"errmsg":"keywords not in content"}`),
				permanent("200 with no such token", 200, `{"errcode":300005,"errmsg":"token is not exist"}`),
				throttled("200 with too fast", 200, `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`, 10*time.Minute),
				throttled("200 with limited", 200, `{"errcode":410100,"errmsg":"speed limit"}`, 10*time.Minute),
				temporary("200 with system busy", 200, `{"errcode":-1,"errmsg":"system busy"}`),
				temporary("200 that is not DingTalk's", 200, page),
				temporary("bad gateway", 502, page),
			},
		},
		{
			Preset:   "feishu",
			Settings: map[string]string{"url": "{server}/open-apis/bot/v2/hook/xxxxxxxxxxxxxxxxx", "secret": "demo secret"},
			Method:   "POST", Path: "/open-apis/bot/v2/hook/xxxxxxxxxxxxxxxxx",
			JSON:   `{"timestamp": "{*}", "sign": "{*}", "msg_type": "text", "content": {"text": "{message}"}}`,
			Verify: verifyFeishu,
			Cases: []Case{
				delivered("ok", 200, `{"code":0,"msg":"success","data":{},"Extra":null,"StatusCode":0,"StatusMessage":"success"}`),
				permanent("200 with bad request", 200, `{"code":9499,"msg":"Bad Request","data":{}}`),
				permanent("200 with sign match fail", 200, `{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time","data":{}}`),
				permanent("200 with keywords", 200, `{"code":19024,"msg":"Key Words Not Found","data":{}}`),
				permanent("400 with IP", 400, `{"code":19022,"msg":"Ip Not Allowed","data":{}}`),
				throttled("200 with too many", 200, `{"code":11232,"msg":"frequency limited","data":{}}`, time.Minute),
				throttled("429 with a time", 429, `{"code":99991400,"msg":"request trigger frequency limit"}`, 52*time.Second, "X-Ogw-Ratelimit-Limit", "100", "X-Ogw-Ratelimit-Reset", "52"),
				throttled("400 with a time", 400, `{"code":99991400,"msg":"request trigger frequency limit"}`, 52*time.Second, "X-Ogw-Ratelimit-Limit", "100", "X-Ogw-Ratelimit-Reset", "52"),
				temporary("200 with an unknown code", 200, `{"code":50000,"msg":"internal error","data":{}}`),
				temporary("200 that is not Feishu's", 200, page),
			},
		},
		{
			Preset: "wecom", Host: "qyapi.weixin.qq.com",
			Settings: map[string]string{"key": "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"},
			Method:   "POST", Path: "/cgi-bin/webhook/send",
			Query: map[string]string{"key": "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"},
			JSON:  `{"msgtype": "text", "text": {"content": "{message}"}}`,
			Cases: []Case{
				delivered("ok", 200, `{"errcode":0,"errmsg":"ok"}`),
				permanent("200 with invalid webhook url", 200, `{"errcode":93000,"errmsg":"invalid webhook url, hint: [1592021214_50_551fc8807c11f27ed0e6714d0c267ba4], from ip: 192.0.2.1, more info at https://open.work.weixin.qq.com/devtool/query?e=93000"}`),
				throttled("200 with too many", 200, `{"errcode":45009,"errmsg":"api freq out of limit"}`, time.Minute),
				temporary("200 with system busy", 200, `{"errcode":-1,"errmsg":"system busy"}`),
				temporary("200 that is not WeCom's", 200, page),
			},
		},
	}
}

func verifyDingTalk(r Request, now time.Time) error {
	query := r.URL.Query()
	stamp := query.Get("timestamp")
	if err := fresh(stamp, time.Millisecond, time.Hour, now); err != nil {
		return err
	}
	const secret = "SEC-this is secret"
	if got, want := query.Get("sign"), sign(secret, stamp+"\n"+secret); got != want {
		return fmt.Errorf("sign is %q, want %q", got, want)
	}
	return nil
}

// verifyFeishu: what others sign is the key here, and the text is empty.
func verifyFeishu(r Request, now time.Time) error {
	var body struct{ Timestamp, Sign string }
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return err
	}
	if err := fresh(body.Timestamp, time.Second, time.Hour, now); err != nil {
		return err
	}
	if want := sign(body.Timestamp+"\ndemo secret", ""); body.Sign != want {
		return fmt.Errorf("sign is %q, want %q", body.Sign, want)
	}
	return nil
}
