package io.hearth.tez;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.Closeable;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.LongBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import javax.crypto.SecretKey;
import org.apache.hadoop.io.WritableUtils;
import org.apache.tez.runtime.library.common.Constants;
import org.apache.tez.runtime.library.common.security.SecureShuffleUtils;
import org.apache.tez.runtime.library.common.shuffle.orderedgrouped.ShuffleHeader;
import org.slf4j.LoggerFactory;

/**
 * Serves the output of one task worker to the workers that fetch it, in the protocol of Tez's own shuffle handler.
 *
 * <p>Each worker serves what it made, as Spark's executors do, from its own files and for as long as it lives. A request
 * names a DAG, a range of partitions and task attempts; it and its answer carry codes made with the job's token, so other
 * jobs get nothing.
 */
final class ShuffleServer implements Closeable {
    /** What Tez knows the shuffle handler as; with "tez" in it, Tez speaks its own protocol instead of MapReduce's. */
    static final String SERVICE = "tez_shuffle";

    /** Fetchers at once; more wait. Tez fetches with 10 connections per task. */
    private static final int THREADS = 16;

    private final HttpServer server;
    private volatile SecretKey key;
    private volatile Path outputs;

    private ShuffleServer(HttpServer server) {
        this.server = server;
    }

    /** Listens on a port of the system's choice at {@code host}; refuses everything until {@link #serve}. */
    static ShuffleServer open(String host) throws IOException {
        ShuffleServer shuffle = new ShuffleServer(HttpServer.create(new InetSocketAddress(host, 0), 0));
        shuffle.server.setExecutor(Executors.newFixedThreadPool(THREADS, body -> {
            Thread thread = new Thread(body, "hearth-shuffle");
            thread.setDaemon(true);
            return thread;
        }));
        shuffle.server.createContext("/mapOutput", shuffle::answer);
        shuffle.server.start();
        return shuffle;
    }

    /** Serves what lies in {@code outputs}, the task's only local directory, to those who know {@code key}. */
    void serve(Path outputs, SecretKey key) {
        this.outputs = outputs;
        this.key = key;
    }

    int port() {
        return server.getAddress().getPort();
    }

    /** The form in which a node manager tells a service's port. */
    static ByteBuffer portAsServiceData(int port) {
        return ByteBuffer.allocate(Integer.BYTES).putInt(0, port);
    }

    private void answer(HttpExchange exchange) throws IOException {
        try {
            SecretKey known = key;
            String hash = exchange.getRequestHeaders().getFirst(SecureShuffleUtils.HTTP_HEADER_URL_HASH);
            if (known == null || hash == null || !isAuthentic(exchange.getRequestURI(), hash, known)) {
                exchange.sendResponseHeaders(401, -1);
                return;
            }
            exchange.getResponseHeaders().set(SecureShuffleUtils.HTTP_HEADER_REPLY_URL_HASH,
                    SecureShuffleUtils.generateHash(hash.getBytes(StandardCharsets.UTF_8), known));
            exchange.getResponseHeaders().set(ShuffleHeader.HTTP_HEADER_NAME, ShuffleHeader.DEFAULT_HTTP_HEADER_NAME);
            exchange.getResponseHeaders().set(ShuffleHeader.HTTP_HEADER_VERSION,
                    ShuffleHeader.DEFAULT_HTTP_HEADER_VERSION);
            Map<String, String> query = query(exchange.getRequestURI());
            if ("delete".equals(query.get("dagAction"))) {
                delete(dag(query));
                exchange.sendResponseHeaders(200, -1);
            } else {
                send(exchange, dag(query), query.get("reduce"), query.get("map").split(","));
            }
        } catch (IOException | RuntimeException e) {
            // The fetcher sees a refusal or too short an answer, and Tez makes the output again if that goes on. The
            // logger is looked up here because this class is loaded before logging may be configured.
            LoggerFactory.getLogger(ShuffleServer.class).warn("serving shuffle data failed", e);
            if (exchange.getResponseCode() < 0) {
                exchange.sendResponseHeaders(404, -1);
            }
        } finally {
            exchange.close();
        }
    }

    private boolean isAuthentic(URI uri, String hash, SecretKey known) {
        String request = port() + uri.getRawPath() + "?" + uri.getRawQuery();
        String expected = SecureShuffleUtils.generateHash(request.getBytes(StandardCharsets.UTF_8), known);
        return MessageDigest.isEqual(expected.getBytes(StandardCharsets.UTF_8), hash.getBytes(StandardCharsets.UTF_8));
    }

    private static Map<String, String> query(URI uri) {
        Map<String, String> query = new HashMap<>();
        for (String part : uri.getQuery().split("&")) {
            String[] pair = part.split("=", 2);
            query.put(pair[0], pair.length == 2 ? pair[1] : "");
        }
        return query;
    }

    private Path dag(Map<String, String> query) {
        return outputs.resolve(Constants.DAG_PREFIX + Integer.parseInt(query.get("dag")));
    }

    /** For each task attempt: the number of partitions, their headers, then the bytes of them all. */
    private static void send(HttpExchange exchange, Path dag, String range, String[] attempts) throws IOException {
        int[] ends = Arrays.stream(range.split("-")).mapToInt(Integer::parseInt).toArray();
        Map<String, LongBuffer> indexes = new LinkedHashMap<>();
        for (String attempt : attempts) {
            indexes.put(attempt, index(output(dag, attempt)));
        }
        exchange.sendResponseHeaders(200, 0);
        try (OutputStream body = exchange.getResponseBody(); WritableByteChannel channel = Channels.newChannel(body)) {
            DataOutputStream out = new DataOutputStream(body);
            for (Map.Entry<String, LongBuffer> entry : indexes.entrySet()) {
                send(out, channel, dag, entry.getKey(), entry.getValue(), ends[0], ends[ends.length - 1]);
            }
        }
    }

    private static void send(DataOutputStream out, WritableByteChannel channel, Path dag, String attempt, LongBuffer index,
            int first, int last) throws IOException {
        long from = Long.MAX_VALUE;
        long to = 0;
        WritableUtils.writeVInt(out, last - first + 1);
        for (int partition = first; partition <= last; partition++) {
            long start = index.get(3 * partition);
            long rawLength = index.get(3 * partition + 1);
            long length = index.get(3 * partition + 2);
            new ShuffleHeader(attempt, length, rawLength, partition).write(out);
            if (length > 0) {
                from = Math.min(from, start);
                to = start + length;
            }
        }
        out.flush();
        copy(output(dag, attempt).resolve(Constants.TEZ_RUNTIME_TASK_OUTPUT_FILENAME_STRING), from, to, channel);
    }

    private static Path output(Path dag, String attempt) throws IOException {
        Path outputs = dag.resolve(Constants.TEZ_RUNTIME_TASK_OUTPUT_DIR);
        Path output = outputs.resolve(attempt).normalize();
        if (!outputs.equals(output.getParent())) {
            throw new IOException("a request for what is no output");
        }
        return output;
    }

    /** Start, length before compression and length of each partition; behind them stands a checksum. */
    private static LongBuffer index(Path output) throws IOException {
        byte[] bytes = Files.readAllBytes(output.resolve(Constants.TEZ_RUNTIME_TASK_OUTPUT_FILENAME_STRING
                + Constants.TEZ_RUNTIME_TASK_OUTPUT_INDEX_SUFFIX_STRING));
        int records = bytes.length / Constants.MAP_OUTPUT_INDEX_RECORD_LENGTH * Constants.MAP_OUTPUT_INDEX_RECORD_LENGTH;
        CRC32 checksum = new CRC32();
        checksum.update(bytes, 0, records);
        if (ByteBuffer.wrap(bytes).getLong(records) != checksum.getValue()) {
            throw new IOException("the index of an output is damaged");
        }
        return ByteBuffer.wrap(bytes, 0, records).asLongBuffer();
    }

    private static void delete(Path directory) throws IOException {
        if (Files.exists(directory)) {
            try (Stream<Path> tree = Files.walk(directory)) {
                for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
    }

    private static void copy(Path file, long from, long to, WritableByteChannel target) throws IOException {
        if (from >= to) {
            return; // All these partitions are empty, and then there may be no file.
        }
        try (FileChannel source = FileChannel.open(file)) {
            for (long at = from; at < to;) {
                long copied = source.transferTo(at, to - at, target);
                if (copied <= 0) {
                    throw new IOException("an output is shorter than its index says");
                }
                at += copied;
            }
        }
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
