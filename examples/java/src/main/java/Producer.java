import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends follow events to the input of net followers, with kafka-clients. Exit code 0: arrived.
 *
 * <pre>BOOTSTRAP=127.0.0.1:9092 java -cp 'target/classes:target/lib/*' Producer < events.jsonl</pre>
 *
 * One event a line: {"event_id", "account_id", "follower_id", "action", "occurred_at"}.
 */
public final class Producer {
    private static final String TOPIC =
            System.getenv().getOrDefault("INPUT_TOPIC", "follow-events");

    public static void main(String[] args) throws Exception {
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        var json = new ObjectMapper();
        // An account must land in the same partition whichever client sends it: its events are
        // counted there, in the order of the log. The default partitioner of this client (murmur2
        // of the key) is the one that the others must agree with. So leave it alone.
        var settings = Map.<String, Object>of(
                "bootstrap.servers", System.getenv().getOrDefault("BOOTSTRAP", "127.0.0.1:9092"),
                "acks", "all", // an answer means: on all replicas in sync
                "enable.idempotence", true); // a retry inside the client is no second record
        var failure = new AtomicReference<Exception>();
        var text = new StringSerializer();
        try (var producer = new KafkaProducer<String, String>(settings, text, text);
                var in = new BufferedReader(
                        new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; failure.get() == null && (line = in.readLine()) != null; ) {
                if (line.isBlank()) {
                    continue;
                }
                // What is no event ends us, with a trace.
                var account = json.readTree(line).required("account_id").textValue();
                var key = Objects.requireNonNull(account, "account_id is no text");
                producer.send(new ProducerRecord<>(TOPIC, key, line), (where, error) -> {
                    if (error != null) {
                        failure.compareAndSet(null, error);
                    }
                });
            }
            producer.flush();
        }
        // After a failure send the whole file again: an id that was counted is a duplicate.
        if (failure.get() != null) {
            throw failure.get();
        }
    }
}
