import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads net followers' results from the beginning and prints the table, with kafka-clients.
 *
 * <pre>BOOTSTRAP=127.0.0.1:9092 java -cp 'target/classes:target/lib/*' Consumer</pre>
 *
 * JSON lines: the rows by account, then the windows by account, grain and start.
 */
public final class Consumer {
    static final Map<String, String> ENV = System.getenv();
    static final String UPDATES = ENV.getOrDefault("UPDATES_TOPIC", "net-follower-updates");
    static final String WINDOWS = ENV.getOrDefault("WINDOWS_TOPIC", "net-follower-windows");
    static final List<String> ROW = List.of("account_id", "gained", "lost", "net", "followers");
    static final List<String> WINDOW =
            List.of("account_id", "grain", "start_ms", "gained", "lost", "net", "revision");
    static final ObjectMapper JSON = new ObjectMapper();
    // Kafka and the other examples order ids by their bytes, Java by UTF-16 characters.
    static final Comparator<String> BYTES =
            Comparator.comparing(id -> id.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned);

    static final Map<String, JsonNode> rows = new TreeMap<>(BYTES);
    static final Map<JsonNode, JsonNode> windows = new TreeMap<>(
            Comparator.comparing((JsonNode one) -> one.get("account_id").textValue(), BYTES)
                    .thenComparing(one -> one.get("grain").textValue())
                    .thenComparing(one -> one.get("start_ms").longValue()));

    static void fold(ConsumerRecord<String, String> record) throws Exception {
        if (record.topic().equals(WINDOWS)) {
            var window = JSON.readTree(record.value());
            // A later event may change a final window: the highest revision is the one that holds.
            windows.merge(window, window, (a, b) ->
                    b.get("revision").asLong() > a.get("revision").asLong() ? b : a);
        } else if (record.key().isEmpty()) {
            return; // a checkpoint of the service (at least once only), no account
        } else if (record.value() == null) {
            rows.remove(record.key()); // a tombstone: the account is gone
        } else {
            rows.put(record.key(), JSON.readTree(record.value())); // whole: the newest by key holds
        }
    }

    public static void main(String[] args) throws Exception {
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        var settings = Map.<String, Object>of(
                "bootstrap.servers", ENV.getOrDefault("BOOTSTRAP", "127.0.0.1:9092"),
                "enable.auto.commit", false,
                "isolation.level", "read_committed"); // else results of a crashed worker count too
        var text = new StringDeserializer();
        try (var consumer = new KafkaConsumer<String, String>(settings, text, text)) {
            var all = new ArrayList<TopicPartition>();
            for (var topic : List.of(UPDATES, WINDOWS)) {
                consumer.partitionsFor(topic)
                        .forEach(one -> all.add(new TopicPartition(topic, one.partition())));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            var ends = consumer.endOffsets(all);
            // By position, not by counting records: transactions leave markers, with offsets.
            while (all.stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
                for (var record : consumer.poll(Duration.ofMillis(200))) fold(record);
            }
        }
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        rows.values().forEach(row -> out.print(((ObjectNode) row).retain(ROW) + "\n"));
        windows.values().forEach(one -> out.print(((ObjectNode) one).retain(WINDOW) + "\n"));
        out.flush();
    }
}
