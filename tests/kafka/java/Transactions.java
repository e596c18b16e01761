import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Writes what it is told to a topic, by as many producers as it is told of. Arguments: bootstrap servers, topic.
 *
 * <p>Each line of the input is a command; each is answered with one line, {@code ok} and what there is to say, once it is
 * done and acknowledged:
 *
 * <ul>
 *   <li>{@code producer NAME CODEC [TRANSACTIONAL_ID]} makes a producer
 *   <li>{@code begin NAME}, {@code commit NAME}, {@code abort NAME}
 *   <li>{@code send NAME PARTITION VALUE...} sends values without spaces, in one batch when they fit in one; answered with
 *       their offsets
 * </ul>
 *
 * <p>What is refused ends the program. Whatever transactions are open then stay open.
 */
public final class Transactions {
    private final String bootstrap;
    private final String topic;
    private final Map<String, KafkaProducer<String, String>> producers = new HashMap<>();

    private Transactions(String bootstrap, String topic) {
        this.bootstrap = bootstrap;
        this.topic = topic;
    }

    public static void main(String[] arguments) throws Exception {
        // That a broker asks for patience is no news.
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "error");
        var writer = new Transactions(arguments[0], arguments[1]);
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(("ok " + writer.obey(line.split(" "))).trim());
            System.out.flush();
        }
        // Closing a producer would abort what is open.
        Runtime.getRuntime().halt(0);
    }

    private String obey(String[] words) throws Exception {
        KafkaProducer<String, String> producer = producers.get(words[1]);
        switch (words[0]) {
            case "producer" -> producers.put(words[1], producer(words[2], words.length > 3 ? words[3] : null));
            case "begin" -> producer.beginTransaction();
            case "commit" -> producer.commitTransaction();
            case "abort" -> producer.abortTransaction();
            case "send" -> {
                return send(producer, Integer.parseInt(words[2]), List.of(words).subList(3, words.length));
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
        return "";
    }

    private KafkaProducer<String, String> producer(String codec, String transactionalId) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("compression.type", codec);
        // One batch for what is sent at once: a flush ends the wait.
        settings.put("linger.ms", "1000");
        if (transactionalId != null) {
            settings.put("transactional.id", transactionalId);
        }
        var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        if (transactionalId != null) {
            producer.initTransactions();
        }
        return producer;
    }

    private String send(KafkaProducer<String, String> producer, int partition, List<String> values) throws Exception {
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (String value : values) {
            futures.add(producer.send(new ProducerRecord<>(topic, partition, null, value)));
        }
        producer.flush();
        var offsets = new StringBuilder();
        for (Future<RecordMetadata> future : futures) {
            offsets.append(future.get().offset()).append(' ');
        }
        return offsets.toString().trim();
    }
}
