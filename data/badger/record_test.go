package badger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postrider/postrider/data"
)

var at = time.Date(2026, 8, 1, 12, 0, 0, int(250*time.Millisecond), time.UTC)

// record is a value of each kind with a key it belongs to and its decoder.
type record struct {
	name       string
	key, value []byte
	decode     func(key, value []byte) (any, error)
	want       any
}

func records() []record {
	attempt := data.Attempt{
		Number: 2, Began: 5, Ended: 9, BeganAt: at,
		Result: data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: time.Minute},
	}
	spoke := attempt
	spoke.Answer = "{\"ok\": false}\x00\uFFFD"
	flight := data.InFlight{ID: 9, Number: 1, Began: 4, BeganAt: at, Policy: minute}
	short := &message{Message: data.Message{
		ID: 7, Text: "hello\x00wörld", Event: 3, AcceptedAt: at, State: data.Waiting, Due: 99, Attempts: []data.Attempt{attempt, attempt},
	}, lane: 4}
	empty := &message{Message: data.Message{ID: 8, AcceptedAt: at, State: data.Queued}, lane: 1}
	told := &message{Message: data.Message{ID: 5, AcceptedAt: at, State: data.Failed, Attempts: []data.Attempt{attempt, spoke}}, lane: 1}
	long := &message{Message: data.Message{ID: 9, AcceptedAt: at, State: data.Failed, ResendOf: 6}, lane: 1, long: longText}
	full := &message{Message: data.Message{
		ID: 10, Text: "", To: "+1", Title: "t", Params: map[string]string{"": "x", "b": "", "a": "\x00"},
		AcceptedAt: at, State: data.Queued, Expires: 1 << 40, ExpiresAt: at.Add(time.Hour),
	}, lane: 4}
	far := &message{Message: data.Message{ID: 11, AcceptedAt: at, State: data.Queued, Expires: 5, ExpiresAt: at}, lane: 4, long: longFields}
	content := *full
	content.long = longFields
	busy := &lane{
		number: 3, gateway: "gateway_1", counts: [data.States]uint64{1: 5, 4: 1 << 40}, ready: 17, head: place{3, 4},
		flying: []data.InFlight{flight, flight}, last: attempt, began: 4, held: 1 << 50, paused: true, unreached: 9,
	}
	for s := data.Delivered; int(s) < data.States; s++ {
		busy.oldest[s] = data.StoreTime(s) << 40
	}
	group := eventGroup{first: 11, time: 6, received: at, count: 2}
	group.packed = appendEvent(appendEvent(nil, data.NewEvent{Type: "a", Payload: "b"}), data.NewEvent{})
	encodeGroup := func(k []byte) []byte {
		return group.encodeEvents(k, []data.NewEvent{{Type: "a", Payload: "b"}, {}}, len(group.packed))
	}
	mark := marker{commit: 5, time: 6, boot: []byte("boot"), bootTime: 7, next: 8, wall: at, events: 3, garbage: 1 << 40, doubtful: 9}
	known := answered{first: 4, count: 3, request: [32]byte{1, 31: 2}}
	ids := []data.ID{3, 4, 9, data.FirstID(1), 2}
	var all []record
	add := func(name string, key []byte, encode func([]byte) []byte, decode func(k, v []byte) (any, error), want any) {
		all = append(all, record{name, key, encode(key), decode, want})
	}
	decodeMessageToo := func(k, v []byte) (any, error) { return decodeMessage(k, v) }
	add("message", messageKey(7), short.encode, decodeMessageToo, short)
	add("empty message", messageKey(8), empty.encode, decodeMessageToo, empty)
	add("message with an answer", messageKey(5), told.encode, decodeMessageToo, told)
	add("long message", messageKey(9), long.encode, decodeMessageToo, long)
	add("full message", messageKey(10), full.encode, decodeMessageToo, full)
	add("message with long fields", messageKey(11), far.encode, decodeMessageToo, far)
	encodeContent := func(k []byte) []byte { return content.encodeContent(k, content.contentSize()) }
	add("content", textKey(10), encodeContent, func(k, v []byte) (any, error) {
		m := &message{long: longFields}
		err := m.decodeContent(k, v)
		return data.Message{Text: m.Text, To: m.To, Title: m.Title, Params: m.Params}, err
	}, data.Message{To: full.To, Title: full.Title, Params: full.Params})
	add("lane", laneKey(3), busy.encode, func(k, v []byte) (any, error) { return decodeLane(k, v) }, busy)
	add("new lane", laneKey(1), (&lane{number: 1}).encode, func(k, v []byte) (any, error) { return decodeLane(k, v) }, &lane{number: 1})
	add("events", eventsKey(12), encodeGroup, func(k, v []byte) (any, error) { return decodeEvents(k, v) }, group)
	add("marker", markerKey(5), mark.encode, func(k, v []byte) (any, error) { return decodeMarker(k, v) }, mark)
	add("answered", idempotencyKey([32]byte{3}), known.encode, func(k, v []byte) (any, error) { return decodeAnswered(k, v) }, known)
	add("ids", runKey(1, 2), func(k []byte) []byte { return encodeIDs(k, ids) }, func(k, v []byte) (any, error) { return decodeIDs(k, v) }, ids)
	add("resent", resentKey(3), func(k []byte) []byte { return encodeResent(k, 9) }, func(k, v []byte) (any, error) { return decodeResent(k, v) }, data.ID(9))
	add("declaration", declareKey("gateway_1"), func(k []byte) []byte { return encodeDeclared(k, []byte("{\"url\":\"x\"}")) }, func(k, v []byte) (any, error) { return decodeDeclared(k, v) },
		data.Declared{Gateway: "gateway_1", Declaration: []byte("{\"url\":\"x\"}")})
	add("number", waitingKey(1, place{2, 3}), func(k []byte) []byte { return encodeNumber(k, 3) }, func(k, v []byte) (any, error) { return decodeNumber(k, v) }, 3)
	return all
}

func TestRecordsRoundTrip(t *testing.T) {
	for _, r := range records() {
		got, err := r.decode(r.key, r.value)
		if err != nil || !reflect.DeepEqual(got, r.want) {
			t.Errorf("%s: decode = %+v, %v; want %+v", r.name, got, err, r.want)
		}
	}
}

func TestRecordsRefuseDamage(t *testing.T) {
	for _, r := range records() {
		for bit := range 8 * len(r.value) {
			v := bytes.Clone(r.value)
			v[bit/8] ^= 1 << (bit % 8)
			if _, err := r.decode(r.key, v); !errors.Is(err, data.ErrDamaged) {
				t.Errorf("%s with bit %d flipped: decode = %v; want ErrDamaged", r.name, bit, err)
			}
		}
		for n := range r.value {
			if _, err := r.decode(r.key, r.value[:n]); !errors.Is(err, data.ErrDamaged) {
				t.Errorf("%s cut to %d bytes: decode = %v; want ErrDamaged", r.name, n, err)
			}
		}
		other := bytes.Clone(r.key)
		other[len(other)-1] ^= 1
		if _, err := r.decode(other, r.value); !errors.Is(err, data.ErrDamaged) {
			t.Errorf("%s under another key: decode = %v; want ErrDamaged", r.name, err)
		}
	}
}

func TestRecordOfLaterVersion(t *testing.T) {
	k := laneKey(1)
	v := newRecord(0)
	v[0] = recordVersion + 1
	_, err := decodeLane(k, seal(k, v))
	wantErr(t, "decodeLane", err, data.ErrNewerFormat)
}

// TestRecordsPassOverUnknownFields keeps the door open for fields to come.
func TestRecordsPassOverUnknownFields(t *testing.T) {
	for _, r := range records() {
		v := appendBytes(appendUint(bytes.Clone(r.value), 99, 7), 100, []byte("later"))
		got, err := r.decode(r.key, seal(r.key, v))
		if err != nil || !reflect.DeepEqual(got, r.want) {
			t.Errorf("%s with more fields: decode = %+v, %v; want %+v", r.name, got, err, r.want)
		}
	}
}

// firstVersion is a message as it was written before answers were kept.
const firstVersion = "0127205dd90804100318fa8dc8e9fb3320032863320c68656c6c6f0077c3b6726c64422408021005180920fa8dc8e9fb33280332097468726f74746c656438ad034080b09dc2df01"

// TestRecordOfBeforeAnswersWereKept reads what the first version wrote.
func TestRecordOfBeforeAnswersWereKept(t *testing.T) {
	old, err := hex.DecodeString(firstVersion)
	if err != nil {
		t.Fatal(err)
	}
	want := &message{Message: data.Message{
		ID: 7, Text: "hello\x00wörld", Event: 3, AcceptedAt: at, State: data.Waiting, Due: 99,
		Attempts: []data.Attempt{{
			Number: 2, Began: 5, Ended: 9, BeganAt: at,
			Result: data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Status: 429, Hint: time.Minute},
		}},
	}, lane: 4}
	if got, err := decodeMessage(messageKey(7), old); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decodeMessage() = %+v, %v; want %+v", got, err, want)
	}
	if got := want.encode(messageKey(7)); !bytes.Equal(got, old) {
		t.Errorf("a message without answers is written as %x; want %s", got, firstVersion)
	}
}

// FuzzDecode gives the decoders fields that nothing wrote under a right checksum.
func FuzzDecode(f *testing.F) {
	for _, r := range records() {
		f.Add(r.value[sealSize:])
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	all := records()
	f.Fuzz(func(t *testing.T, fields []byte) {
		for _, r := range all {
			_, _ = r.decode(r.key, fields)
			v := append(newRecord(len(fields)), fields...)
			got, err := r.decode(r.key, seal(r.key, v))
			if err != nil && !errors.Is(err, data.ErrDamaged) {
				t.Errorf("%s: decode = %v; want ErrDamaged", r.name, err)
			}
			if g, ok := got.(eventGroup); ok && err == nil {
				_ = g.each(0, func(data.ID, []byte, []byte) bool { return true })
			}
		}
	})
}

func TestIDsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Map(rapid.Uint64(), func(n uint64) data.ID { return data.ID(n) })).Draw(t, "ids")
		k := runKey(1, 1)
		got, err := decodeIDs(k, encodeIDs(k, want))
		if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("decodeIDs(encodeIDs(%v)) = %v, %v", want, got, err)
		}
	})
}

// TestBoundsHold checks what transactions are sized by against the records.
func TestBoundsHold(t *testing.T) {
	const big = 1 << 62
	attempt := data.Attempt{
		Number: data.MaxAttemptsLimit, Began: big, Ended: big, BeganAt: at,
		Result: data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseUnreached, Status: 999, Hint: big},
	}
	m := &message{Message: data.Message{ID: big, Event: big, AcceptedAt: at, State: data.Cancelled, Due: big}, lane: 1 << 31}
	if got := len(m.encode(messageKey(1))) + 10; got > messageBytes {
		t.Errorf("a message takes %d bytes; want at most %d", got, messageBytes)
	}
	rich := *m
	rich.Text, rich.To, rich.Title = strings.Repeat("x", 100_000), strings.Repeat("x", 300_000), strings.Repeat("x", 300_000)
	rich.Params, rich.Expires, rich.ExpiresAt = make(map[string]string), big, at
	for i := range data.MaxParams {
		rich.Params[fmt.Sprintf("%064d", i)] = strings.Repeat("x", 40*i)
	}
	if got := len(rich.encode(messageKey(1))) + 10; got > messageBytes+expiryBytes+rich.contentSize() {
		t.Errorf("a message takes %d bytes; want at most %d", got, messageBytes+expiryBytes+rich.contentSize())
	}
	rich.long = longFields
	if got := len(rich.encodeContent(textKey(1), 0)); got > rich.contentSize()+sealSize+fieldBytes {
		t.Errorf("content takes %d bytes; want at most %d", got, rich.contentSize()+sealSize+fieldBytes)
	}
	if got := len(appendAttempt(nil, 8, attempt)); got > attemptBytes {
		t.Errorf("an attempt takes %d bytes; want at most %d", got, attemptBytes)
	}
	attempt.Answer = strings.Repeat("x", data.MaxAnswer)
	if got := len(appendAttempt(nil, 8, attempt)); got > attemptBytes+answerPrice(attempt.Answer) {
		t.Errorf("an attempt with an answer takes %d bytes; want at most %d", got, attemptBytes+answerPrice(attempt.Answer))
	}
	attempt.Answer = ""
	f := data.InFlight{ID: big, Number: 100, Began: big, BeganAt: at, Policy: data.Policy{MaxAttempts: 100, Interval: big, MaxHint: big}}
	if got := len(appendInFlight(nil, 6, f, data.InFlight{})); got > inFlightBytes {
		t.Errorf("an attempt under way takes %d bytes; want at most %d", got, inFlightBytes)
	}
	k := resentKey(1)
	again := *m
	again.ResendOf = big
	if got := len(again.encode(messageKey(1))) - len(m.encode(messageKey(1))) + len(encodeResent(k, big)); got > resentBytes {
		t.Errorf("being sent again takes %d bytes; want at most %d", got, resentBytes)
	}
	l := &lane{number: 1, ready: big, head: place{big, big}, last: attempt, began: big, held: big, paused: true, unreached: big}
	for i := range l.counts {
		l.counts[i] = big
		l.oldest[i] = big
	}
	if got := len(l.encode(laneKey(1))) + len(encodeIDs(runKey(1, 1), []data.ID{big})); got > laneBytes {
		t.Errorf("a lane takes %d bytes with a run; want at most %d", got, laneBytes)
	}
	for range maxFlying {
		l.flying = append(l.flying, f)
	}
	if got := len(l.encode(laneKey(1))); got >= valueThreshold {
		t.Errorf("a lane takes %d bytes at most; want less than %d", got, valueThreshold)
	}
	k = idempotencyKey([32]byte{})
	if got := len(answered{first: big, count: data.MaxRouted}.encode(k)); got > keyBytes {
		t.Errorf("an idempotency key takes %d bytes; want at most %d", got, keyBytes)
	}
	k = declareKey(strings.Repeat("g", data.MaxGatewayName))
	declared := &data.Declare{Gateway: string(k[1:]), Declaration: make([]byte, 500_000)}
	if got, most := len(k)+len(encodeDeclared(k, declared.Declaration)), declarePrice(declared); got > most.bytes {
		t.Errorf("a declaration takes %d bytes; want at most %d", got, most.bytes)
	}
	k = idempotencyKey([32]byte{})
	mark := marker{commit: big, time: big, boot: make([]byte, 36), bootTime: big, next: big, wall: at, events: big, garbage: big, doubtful: big, doubted: big}
	if got := len(mark.encode(markerKey(1))); got+entryBytes > markerBytes {
		t.Errorf("a marker takes %d bytes; want at most %d", got, markerBytes-entryBytes)
	}
	if got := len(k) + 2 + 10; got > entryBytes {
		t.Errorf("an entry takes %d bytes beyond its value; want at most %d", got, entryBytes)
	}
}

// TestLeastCommit keeps the ring of markers longer than what memtables hold.
func TestLeastCommit(t *testing.T) {
	// Badger's costs: a node of the least height with its padding, the version in
	// a key, and beside a value two bytes of meta and one of expiry.
	const node, version, meta = 20 + 7, 8, 3
	mark := marker{commit: 1 << 14, time: 1 << 30, bootTime: 1 << 30, next: 1 << 7, wall: at}
	group := eventGroup{first: 1, time: 1 << 30, received: at}
	least := 0
	for _, e := range []struct{ key, value []byte }{
		{markerKey(0), mark.encode(markerKey(0))},
		{eventsKey(1), group.encodeEvents(eventsKey(1), make([]data.NewEvent, 1), packedSize(data.NewEvent{}))},
	} {
		least += node + version + meta + len(e.key) + len(e.value)
	}
	if least < minCommit {
		t.Errorf("the least commit takes %d bytes of a memtable; want at least %d", least, minCommit)
	}
}
