// Prints the table of net followers, read from the beginning with franz-go, as JSON lines: the rows by
// account, then the windows by account, grain, start. BOOTSTRAP=127.0.0.1:9092 go run ./consumer
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type line struct {
	Account   string          `json:"account_id"`
	Grain     string          `json:"grain,omitempty"`    // of a window
	Start     json.Number     `json:"start_ms,omitempty"` // of a window
	Gained    int64           `json:"gained"`
	Lost      int64           `json:"lost"`
	Net       int64           `json:"net"`
	Followers json.RawMessage `json:"followers,omitempty"` // of a row
	Revision  *int64          `json:"revision,omitempty"`  // of a window
}

var table = map[string]line{} // by "row", account; and by "window", account, grain, start

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func fold(record *kgo.Record) {
	var found line
	if record.Attrs.IsControl() || len(record.Key) == 0 { // a checkpoint (at least once only)
	} else if record.Value == nil {
		delete(table, "row\x00"+string(record.Key)) // a tombstone: the account is gone
	} else if must(0, json.Unmarshal(record.Value, &found)); found.Revision == nil {
		table["row\x00"+string(record.Key)] = found // the whole row: the newest by key holds
	} else {
		place := fmt.Sprintf("window\x00%s\x00%s\x00%20s", record.Key, found.Grain, found.Start)
		if known := table[place].Revision; known == nil || *found.Revision > *known {
			table[place] = found // a later event may change a final window: the highest holds
		}
	}
}

func main() {
	client := must(kgo.NewClient(
		kgo.SeedBrokers(strings.Split(cmp.Or(os.Getenv("BOOTSTRAP"), "127.0.0.1:9092"), ",")...),
		kgo.ConsumeTopics(cmp.Or(os.Getenv("UPDATES_TOPIC"), "net-follower-updates"),
			cmp.Or(os.Getenv("WINDOWS_TOPIC"), "net-follower-windows")), // all, from the beginning
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // else results of a crashed worker count too
		kgo.KeepControlRecords()))                    // they take offsets: needed to see the end
	admin, ctx, topics := kadm.NewClient(client), client.Context(), client.GetConsumeTopics()
	starts := must(admin.ListStartOffsets(ctx, topics...))
	ends := must(admin.ListCommittedOffsets(ctx, topics...))
	left := must(ends.Offsets(), ends.Error())
	left.KeepFunc(func(to kadm.Offset) bool { return to.At > starts[to.Topic][to.Partition].Offset })
	for len(left.Sorted()) > 0 {
		fetches := client.PollFetches(ctx)
		must(fetches, fetches.Err()).EachRecord(func(one *kgo.Record) {
			fold(one)
			if one.Offset+1 >= left[one.Topic][one.Partition].At {
				delete(left[one.Topic], one.Partition)
			}
		})
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for _, place := range slices.Sorted(maps.Keys(table)) {
		must(0, out.Encode(table[place]))
	}
}
