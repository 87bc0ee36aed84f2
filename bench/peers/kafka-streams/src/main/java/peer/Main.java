package peer;

import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * Runs one topology: `Main idiomatic|tuned`. Everything else comes from PEER_* variables.
 *
 * <p>With PEER_WARM_RECORDS it first counts so many records of the same input under another
 * application id, in this process, so that what is measured afterwards is warm code.
 */
public final class Main {
  private static final String BROKERS = System.getenv("PEER_BROKERS");
  private static final String INPUT = System.getenv("PEER_INPUT");
  private static final String APP_ID = System.getenv("PEER_APP_ID");

  public static void main(String[] arguments) throws Exception {
    boolean isTuned = arguments[0].equals("tuned");
    long warmRecords = Long.parseLong(System.getenv().getOrDefault("PEER_WARM_RECORDS", "0"));
    if (warmRecords > 0) {
      String warmId = APP_ID + "-warm";
      KafkaStreams warming = started(isTuned, warmId);
      awaitCommitted(warmId, warmRecords);
      warming.close();
    }
    System.out.println("counting " + APP_ID);
    KafkaStreams streams = started(isTuned, APP_ID);
    CountDownLatch isAsked = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      streams.close();
      isAsked.countDown();
    }));
    isAsked.await();
  }

  /** Result topics are named after the application: appId-updates, appId-windows. */
  private static KafkaStreams started(boolean isTuned, String appId) {
    Topology topology = isTuned
        ? Tuned.topology(INPUT, appId + "-updates")
        : Idiomatic.topology(INPUT, appId + "-updates", appId + "-windows");
    KafkaStreams streams = new KafkaStreams(topology, properties(isTuned, appId));
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      Exit.halt(1);
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    streams.start();
    return streams;
  }

  private static Properties properties(boolean isTuned, String appId) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, appId);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, BROKERS);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("PEER_STATE_DIR"));
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG,
        System.getenv().getOrDefault("PEER_COMMIT_MS", "500"));
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    if (isTuned) {
      Tuned.configure(properties);
    }
    return properties;
  }

  private static void awaitCommitted(String group, long records) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", BROKERS))) {
      long committed = 0;
      while (committed < records) {
        Thread.sleep(100);
        committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
            .entrySet().stream()
            .filter(one -> one.getKey().topic().equals(INPUT) && one.getValue() != null)
            .mapToLong(one -> one.getValue().offset())
            .sum();
      }
    }
  }

  private Main() {}
}
