// Sends follow events to the input of net followers, with franz-go. Exit code 0: all have arrived.
//
//	BOOTSTRAP=127.0.0.1:9092 go run ./producer < events.jsonl
//
// One event a line: {"event_id", "account_id", "follower_id", "action", "occurred_at"}.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(cmp.Or(os.Getenv("BOOTSTRAP"), "127.0.0.1:9092"), ",")...),
		kgo.DefaultProduceTopic(cmp.Or(os.Getenv("INPUT_TOPIC"), "follow-events")),
		// An answer means: on all replicas in sync. (The default; idempotence is, too: a retry
		// inside the client is no second record.)
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// An account must land in the same partition whichever client sends it: its events are
		// counted there, in the order of the log. This hashes keys with murmur2 as Kafka's own
		// clients do; so does the default, but Sarama's hashers, also offered, do not.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && ctx.Err() == nil {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var event struct {
			Account *string `json:"account_id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil || event.Account == nil {
			log.Fatalf("no event (%v): %s", err, lines.Bytes())
		}
		// Waits while too many are unanswered.
		record := &kgo.Record{Key: []byte(*event.Account), Value: bytes.Clone(lines.Bytes())}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				stop(err) // the first one counts
			}
		})
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	// After a failure send the whole file again: an event id that was counted is a duplicate.
	if err := client.Flush(context.Background()); err != nil {
		log.Fatal(err)
	}
	if ctx.Err() != nil {
		log.Fatal(context.Cause(ctx))
	}
	client.Close()
}
