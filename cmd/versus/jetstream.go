package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func newNATS() backing { return &natsServer{} }

// subject is where messages are published.
const subject = "messages"

// openJetStream publishes each message to a stream on disk, of which an
// acknowledgement removes it. With a sink it consumes them.
func openJetStream(ctx context.Context, at site, address string) (*back, error) {
	clients, monitor, _ := strings.Cut(address, " ")
	connection, err := nats.Connect(clients)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(connection)
	if err != nil {
		return nil, err
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: subject, Subjects: []string{subject}, Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		return nil, err
	}
	if at.delivers() {
		if err := consume(ctx, stream, at); err != nil {
			return nil, err
		}
	}
	return &back{
		message: func(ctx context.Context, text string) error {
			_, err := js.Publish(ctx, subject, []byte(text))
			return err
		},
		durability: func(ctx context.Context) (string, error) { return syncOf(ctx, monitor) },
		open: func(ctx context.Context) (int64, error) {
			info, err := stream.Info(ctx)
			if err != nil {
				return 0, err
			}
			return int64(info.State.Msgs), nil
		},
		close: connection.Close,
	}, nil
}

// consume posts each message and waits until the server has its acknowledgement.
// One that fails comes again.
func consume(ctx context.Context, stream jetstream.Stream, at site) error {
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "carrier", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3, MaxAckPending: 2 * at.workers,
	})
	if err != nil {
		return err
	}
	post := poster(at.sink, at.workers)
	free := make(chan struct{}, at.workers)
	_, err = consumer.Consume(func(m jetstream.Msg) {
		free <- struct{}{}
		go func() {
			defer func() { <-free }()
			if post(string(m.Data())) == nil {
				_ = m.DoubleAck(ctx) // what is not acknowledged stays open
			}
		}()
	}, jetstream.PullMaxMessages(2*at.workers))
	return err
}

// syncOf reads back from the server how it syncs.
func syncOf(ctx context.Context, monitor string) (string, error) {
	answer, err := ask(ctx, monitor+"/jsz?config=true")
	if err != nil {
		return "", err
	}
	var said struct {
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil {
		return "", err
	}
	return fmt.Sprintf("sync_always=%t, file storage; consumer state is written up to 100 ms later", said.Config.SyncAlways), nil
}
