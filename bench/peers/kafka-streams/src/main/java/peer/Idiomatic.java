package peer;

import java.time.Duration;
import java.util.Map;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/** As the documentation would write it: the DSL, JSON serdes, default stores and caches. */
final class Idiomatic {
  private static final Map<String, TimeWindows> GRAINS = Map.of(
      "1m", TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(30)),
      "1h", TimeWindows.ofSizeAndGrace(Duration.ofHours(1), Duration.ofMinutes(1)),
      "1d", TimeWindows.ofSizeAndGrace(Duration.ofDays(1), Duration.ofMinutes(5)));

  /** Gained and lost since counting began, or of one window. */
  public record Tally(long gained, long lost, long last_event_ms) {
    Tally add(FollowEvent event) {
      long last = Math.max(last_event_ms, event.occurred_at());
      return event.isFollow()
          ? new Tally(gained + 1, lost, last)
          : new Tally(gained, lost + 1, last);
    }
  }

  /** What the windows topic carries. */
  public record WindowResult(String grain, long start_ms, long gained, long lost) {}

  static Topology topology(String input, String updates, String windows) {
    StreamsBuilder builder = new StreamsBuilder();
    Serde<Tally> tallies = JsonSerde.of(Tally.class);
    KGroupedStream<String, FollowEvent> byAccount = builder
        .stream(input, Consumed.with(Serdes.String(), JsonSerde.of(FollowEvent.class))
            .withTimestampExtractor((record, before) ->
                ((FollowEvent) record.value()).occurred_at()))
        .groupByKey(Grouped.with(Serdes.String(), JsonSerde.of(FollowEvent.class)));
    byAccount
        .aggregate(
            () -> new Tally(0, 0, 0),
            (account, event, tally) -> tally.add(event),
            Materialized.with(Serdes.String(), tallies))
        .toStream()
        .to(updates, Produced.with(Serdes.String(), tallies));
    GRAINS.forEach((grain, size) -> byAccount
        .windowedBy(size)
        .aggregate(
            () -> new Tally(0, 0, 0),
            (account, event, tally) -> tally.add(event),
            Materialized.with(Serdes.String(), tallies))
        .toStream()
        .map((window, tally) -> KeyValue.pair(
            window.key(),
            new WindowResult(grain, window.window().start(), tally.gained(), tally.lost())))
        .to(windows, Produced.with(Serdes.String(), JsonSerde.of(WindowResult.class))));
    return builder.build();
  }

  private Idiomatic() {}
}
