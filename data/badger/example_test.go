package badger_test

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// Accept an event, start anew, and read it back.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	options := badger.Options{Path: dir, Clock: badger.SystemClock(), Logger: slog.New(slog.DiscardHandler)}

	store, err := badger.Open(options)
	if err != nil {
		fmt.Println(err)
		return
	}
	save := &data.Save{Events: []data.NewEvent{{Type: "user_joined", Payload: "Alice"}}}
	if err := store.Apply(&data.Batch{Saves: []*data.Save{save}}); err != nil {
		fmt.Println(err)
	}
	fmt.Println("accepted", save.First)
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}

	if store, err = badger.Open(options); err != nil {
		fmt.Println(err)
		return
	}
	page, err := store.Events(data.EventQuery{Limit: 10})
	for _, e := range page.Events {
		fmt.Println(e.ID, e.Type, e.Payload, err)
	}
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// accepted 0000000000002
	// 0000000000002 user_joined Alice <nil>
}
