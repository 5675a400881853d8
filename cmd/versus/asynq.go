package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// redisServer is a Redis of our own that syncs its log before it answers, on a
// Unix socket.
type redisServer struct{ process *process }

func newRedis() backing { return &redisServer{} }

const redisBinary = "redis-server"

// redisMissing looks for the server.
func redisMissing() error {
	if _, err := exec.LookPath(redisBinary); err != nil {
		return fmt.Errorf("no %s here: install Redis (Debian: redis-server)", redisBinary)
	}
	return nil
}

func redisVersion(ctx context.Context) string {
	return join(firstLine(ctx, redisBinary, "--version"), moduleVersion("github.com/hibiken/asynq"), moduleVersion("github.com/gofiber/fiber/v2"), runtime.Version())
}

func (r *redisServer) start(ctx context.Context, at site) (address string, err error) {
	binary, err := exec.LookPath(redisBinary)
	if err != nil {
		return "", err
	}
	address = filepath.Join(at.dir, "redis.sock")
	r.process, _, err = spawnReady(ctx, "keep", "--dir", at.dir, "--", binary, "--port", "0", "--unixsocket", address,
		"--dir", at.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	return address, err
}

func (r *redisServer) stop() error { return r.process.stop() }

// taskKind is the type of the one kind of task.
const taskKind = "carry"

// openAsynq enqueues a task for each message. With a sink it works on them.
func openAsynq(ctx context.Context, at site, address string) (*back, error) {
	plain := redis.NewClient(&redis.Options{Network: "unix", Addr: address})
	err := rig.Until(ctx, "Redis answers", patience, 20*time.Millisecond, func() (bool, error) { return plain.Ping(ctx).Err() == nil, nil })
	if err != nil {
		return nil, err
	}
	opt := asynq.RedisClientOpt{Network: "unix", Addr: address, PoolSize: at.pool}
	client, inspector := asynq.NewClient(opt), asynq.NewInspector(opt)
	shut := func() {}
	if at.delivers() {
		shut, err = workOnTasks(opt, at)
		if err != nil {
			return nil, err
		}
	}
	return &back{
		message: func(ctx context.Context, text string) error {
			_, err := client.EnqueueContext(ctx, asynq.NewTask(taskKind, []byte(text)), asynq.MaxRetry(2), asynq.Timeout(10*time.Second))
			return err
		},
		durability: func(ctx context.Context) (string, error) { return configOf(ctx, plain, at.pool) },
		open: func(context.Context) (int64, error) {
			q, err := inspector.GetQueueInfo("default")
			if err != nil {
				return 0, err
			}
			return int64(q.Pending + q.Active + q.Scheduled + q.Retry), nil
		},
		close: func() {
			shut()
			_, _, _ = client.Close(), inspector.Close(), plain.Close() // what is left is thrown away with its store
		},
	}, nil
}

// workOnTasks starts the workers.
func workOnTasks(opt asynq.RedisClientOpt, at site) (shut func(), err error) {
	worker := asynq.NewServer(opt, asynq.Config{
		Concurrency:       at.workers,
		LogLevel:          asynq.FatalLevel,
		ShutdownTimeout:   patience / 3,
		TaskCheckInterval: 5 * time.Millisecond, // when there was nothing to do
	})
	post := poster(at.sink, at.workers)
	err = worker.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error { return post(string(t.Payload())) }))
	return worker.Shutdown, err
}

// configOf reads back the settings that durability hangs on.
func configOf(ctx context.Context, c *redis.Client, pool int) (string, error) {
	var all []string
	for _, name := range []string{"appendonly", "appendfsync", "no-appendfsync-on-rewrite"} {
		answer, err := c.ConfigGet(ctx, name).Result()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, name+"="+answer[name])
	}
	return fmt.Sprintf("%s; pool of %d", strings.Join(all, " "), pool), nil
}
