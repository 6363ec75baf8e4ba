package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(20)
class ControlChannelTest {
    private static final Duration LIMIT = Duration.ofSeconds(10);

    @TempDir
    Path directory;

    private final BlockingQueue<Order> orders = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> rejections = new LinkedBlockingQueue<>();
    private ServerSocketChannel server;
    private ControlChannel channel;

    /** The agent's end of one connection. */
    private record Peer(SocketChannel socket, LineReader lines) implements AutoCloseable {
        Map<String, Object> read() throws Exception {
            return Json.parseObject(lines.readLine());
        }

        void write(String line) throws IOException {
            ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                socket.write(bytes);
            }
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    @BeforeEach
    void listenAndConnect() throws IOException {
        listen();
        channel = new ControlChannel(socket(), new ControlChannel.Identity("w1", "s1", 42), new ControlChannel.Handler() {
            @Override
            public void onOrder(Order order) {
                orders.add(order);
            }

            @Override
            public void onRejected(String reason) {
                rejections.add(reason);
            }
        });
        channel.start();
    }

    @AfterEach
    void stopListening() throws IOException {
        channel.close();
        server.close();
    }

    private Path socket() {
        return directory.resolve("control.sock");
    }

    private void listen() throws IOException {
        Files.deleteIfExists(socket());
        server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket()));
    }

    /** Accepts the next connection, checks its hello and welcomes it. */
    private Peer welcome(long expectedLastReceived, long lastReceived) throws Exception {
        SocketChannel accepted = server.accept();
        Peer peer = new Peer(accepted, new LineReader(accepted));
        assertEquals(
                Json.parseObject("{\"type\":\"hello\",\"protocol\":1,\"worker_id\":\"w1\",\"session\":\"s1\",\"pid\":42,"
                        + "\"last_received\":" + expectedLastReceived + "}"),
                peer.read());
        peer.write("{\"type\":\"welcome\",\"protocol\":1,\"last_received\":" + lastReceived + "}");
        return peer;
    }

    private static Report kill(String id) {
        return new Report.KillExecutors(List.of(id));
    }

    @Test
    void reportsArriveInOrderAndAreAwaitedUntilAcknowledged() throws Exception {
        channel.send(new Report.Ready());
        channel.send(kill("7"));
        try (Peer peer = welcome(0, 0)) {
            assertEquals(Json.parseObject("{\"type\":\"ready\",\"seq\":1}"), peer.read());
            assertEquals(Json.parseObject("{\"type\":\"kill_executors\",\"ids\":[\"7\"],\"seq\":2}"), peer.read());
            peer.write("{\"type\":\"ack\",\"seq\":1}");
            assertFalse(channel.awaitAcknowledged(Duration.ofMillis(50)));
            peer.write("{\"type\":\"ack\",\"seq\":2}");
            assertTrue(channel.awaitAcknowledged(LIMIT));
        }
    }

    @Test
    void afterTheAgentRestartsUnacknowledgedReportsComeAgainAndOldOrdersAreDropped() throws Exception {
        channel.send(kill("1"));
        channel.send(kill("2"));
        try (Peer peer = welcome(0, 0)) {
            peer.read();
            peer.read();
            peer.write("{\"type\":\"ack\",\"seq\":1}");
            peer.write("{\"type\":\"cancel\",\"grace_ms\":1,\"seq\":1}");
            assertEquals(Json.parseObject("{\"type\":\"ack\",\"seq\":1}"), peer.read());
        }
        server.close();
        channel.send(kill("3"));
        listen();
        try (Peer peer = welcome(1, 1)) {
            assertEquals(2L, peer.read().get("seq"));
            assertEquals(3L, peer.read().get("seq"));
            peer.write("{\"type\":\"cancel\",\"grace_ms\":1,\"seq\":1}");
            assertEquals(Json.parseObject("{\"type\":\"ack\",\"seq\":1}"), peer.read());
            peer.write("{\"type\":\"cancel\",\"grace_ms\":2,\"seq\":2}");
            assertEquals(Json.parseObject("{\"type\":\"ack\",\"seq\":2}"), peer.read());
        }
        assertEquals(List.of(new Order.Cancel(1), new Order.Cancel(2)), List.copyOf(orders));
    }

    @Test
    void anAgentThatForgotWhatItAcknowledgedIsToldAgain() throws Exception {
        CountDownLatch toldAgain = new CountDownLatch(1);
        channel.subscribe(order -> {}, toldAgain::countDown);
        channel.send(kill("1"));
        try (Peer peer = welcome(0, 0)) {
            peer.read();
            peer.write("{\"type\":\"ack\",\"seq\":1}");
            assertTrue(channel.awaitAcknowledged(LIMIT));
        }
        assertEquals(1, toldAgain.getCount());
        try (Peer peer = welcome(0, 0)) {
            assertTrue(toldAgain.await(10, TimeUnit.SECONDS));
        }
    }

    @Test
    void onlyTheLatestProgressIsSentAndWithoutANumber() throws Exception {
        channel.sendLatest(new Report.Progress(Map.of("executors", 1)));
        channel.sendLatest(new Report.Progress(Map.of("executors", 2)));
        channel.send(new Report.Ready());
        try (Peer peer = welcome(0, 0)) {
            assertEquals("ready", peer.read().get("type"));
            assertEquals(Json.parseObject("{\"type\":\"progress\",\"executors\":2}"), peer.read());
        }
    }

    @Test
    void aRejectionEndsAllTries() throws Exception {
        SocketChannel accepted = server.accept();
        try (Peer peer = new Peer(accepted, new LineReader(accepted))) {
            peer.read();
            peer.write("{\"type\":\"reject\",\"reason\":\"wrong worker\"}");
            assertEquals("wrong worker", rejections.poll(10, TimeUnit.SECONDS));
        }
    }

    @Test
    void afterClosingTheAgentSeesTheEndAndNoFurtherConnection() throws Exception {
        try (Peer peer = welcome(0, 0)) {
            assertTrue(channel.awaitConnected(LIMIT));
            channel.close();
            assertThrows(EOFException.class, peer::read);
        }
        server.configureBlocking(false);
        assertNull(server.accept());
    }

    @Test
    void anotherProtocolIsRejected() throws Exception {
        SocketChannel accepted = server.accept();
        try (Peer peer = new Peer(accepted, new LineReader(accepted))) {
            peer.read();
            peer.write("{\"type\":\"welcome\",\"protocol\":2,\"last_received\":0}");
            assertTrue(rejections.poll(10, TimeUnit.SECONDS).contains("protocol 2"));
        }
    }

    @Test
    void anOverlongLineBreaksTheConnectionAndNothingElse() throws Exception {
        try (Peer peer = welcome(0, 0)) {
            try {
                peer.write("x".repeat(LineReader.MAX_LINE + 1));
            } catch (IOException e) {
                // The other side may have hung up while this was being written.
            }
            try (Peer next = welcome(0, 0)) {
                next.write("{\"type\":\"cancel\",\"grace_ms\":1,\"seq\":1}");
                assertEquals(new Order.Cancel(1), orders.poll(10, TimeUnit.SECONDS));
            }
        }
    }
}
