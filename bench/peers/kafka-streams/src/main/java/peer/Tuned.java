package peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Simple and fast: one aggregate row per account in memory behind a record cache, so that a commit
 * publishes each changed row once; a streaming parser; binary rows in store and changelog, JSON
 * only where it leaves.
 */
final class Tuned {
  private static final JsonFactory JSON = new JsonFactory();
  private static final byte[] NOTHING = new byte[0];

  /** What an event changes; the account is the record's key. */
  private record Change(boolean isFollow, long occurredAtMs) {}

  static void configure(Properties properties) {
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 512L * 1_024 * 1_024);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    properties.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
    properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 20_000);
    properties.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 * 1_024 * 1_024);
    properties.put(ProducerConfig.BATCH_SIZE_CONFIG, 512 * 1_024);
  }

  static Topology topology(String input, String updates) {
    StreamsBuilder builder = new StreamsBuilder();
    Serde<byte[]> keys = Serdes.ByteArray();
    Serde<Change> changes = Serdes.serdeFrom((topic, change) -> NOTHING, Tuned::read);
    Serde<Row> rows = Serdes.serdeFrom(
        (topic, row) -> row == null ? null : row.toBytes(),
        (topic, bytes) -> bytes == null ? null : Row.fromBytes(bytes));
    Serde<Row> published = Serdes.serdeFrom((topic, row) -> json(row), (topic, bytes) -> null);
    builder
        .stream(input, Consumed.with(keys, changes)
            .withTimestampExtractor((record, before) -> ((Change) record.value()).occurredAtMs()))
        .groupByKey(Grouped.with(keys, changes))
        .aggregate(
            Row::new,
            (account, change, row) -> {
              row.add(change.isFollow(), change.occurredAtMs());
              return row;
            },
            Materialized.<byte[], Row>as(Stores.inMemoryKeyValueStore("rows"))
                .withKeySerde(keys)
                .withValueSerde(rows)
                .withCachingEnabled())
        .toStream()
        .to(updates, Produced.with(keys, published));
    return builder.build();
  }

  private static Change read(String topic, byte[] value) {
    boolean isFollow = false;
    long occurredAtMs = 0;
    try (JsonParser parser = JSON.createParser(value)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        switch (name) {
          case "action" -> isFollow = parser.getText().equals("follow");
          case "occurred_at" -> occurredAtMs = parser.getLongValue();
          default -> parser.skipChildren();
        }
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return new Change(isFollow, occurredAtMs);
  }

  private static byte[] json(Row row) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
    try (JsonGenerator json = JSON.createGenerator(bytes)) {
      json.writeStartObject();
      json.writeNumberField("gained", row.gained);
      json.writeNumberField("lost", row.lost);
      json.writeNumberField("net", row.gained - row.lost);
      json.writeNumberField("last_event_ms", row.lastEventMs);
      json.writeObjectFieldStart("windows");
      for (int grain = 0; grain < Row.NAMES.length; grain++) {
        json.writeArrayFieldStart(Row.NAMES[grain]);
        long[] held = row.windows[grain];
        for (int at = 0; at < held.length; at += 3) {
          json.writeArray(held, at, 3);
        }
        json.writeEndArray();
      }
      json.writeEndObject();
      json.writeEndObject();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return bytes.toByteArray();
  }

  private Tuned() {}
}
