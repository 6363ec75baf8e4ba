package io.hearth.launcher;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The JVM's end of the control channel: JSON lines over the agent's Unix socket.
 *
 * <p>Reports are kept until acknowledged and sent again, in order, after a reconnect; orders seen before are dropped.
 * The agent may go away at any time and for any length: once it has been reached, this side tries again for as long as
 * the JVM lives, because the job must outlive the agent. Two daemon threads do the work: one connects and reads, one
 * writes. Orders are handled on the reading thread, so a handler must not block.
 */
public final class ControlChannel {
    /** The version of the control protocol that this code speaks. */
    public static final int PROTOCOL = 1;

    /** How long a new connection is waited for, between two tries. */
    static final Duration RETRY = Duration.ofMillis(200);

    /** A bound against an agent that never acknowledges; a job sends far fewer reports than this in its life. */
    private static final int MAX_UNACKNOWLEDGED = 10_000;

    /** Who this JVM is: the worker it belongs to, an id of this start, its process id. */
    public record Identity(String workerId, String session, long pid) {}

    /** What happens to whoever is told of orders and of the connection. */
    public interface Handler {
        /** An order arrived, for the first time. */
        void onOrder(Order order);

        /** The agent refused this JVM, or does not speak its protocol; there will be no further try. */
        void onRejected(String reason);
    }

    private final Path socket;
    private final Identity identity;
    private final Handler handler;
    private final Object lock = new Object();

    // All below is guarded by the lock.
    private final Outbox outbox = new Outbox();
    private SocketChannel connection;
    private boolean wasConnected;
    private boolean isClosed;
    private long lastReceived;
    private boolean oweAcknowledgement;
    private Report.Progress latestProgress;
    private Runnable onAgentForgot = () -> {};
    private Consumer<Order> subscriber = order -> {};

    public ControlChannel(Path socket, Identity identity, Handler handler) {
        this.socket = socket;
        this.identity = identity;
        this.handler = handler;
    }

    /** Starts connecting; returns at once. */
    public void start() {
        daemon("hearth-control-reader", this::connectForever);
        daemon("hearth-control-writer", this::writeForever);
    }

    /** Sends a report reliably, in order. Blocks only if the agent has left {@value #MAX_UNACKNOWLEDGED} unanswered. */
    public void send(Report report) {
        synchronized (lock) {
            boolean interrupted = false;
            while (outbox.size() >= MAX_UNACKNOWLEDGED) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            outbox.append(report);
            lock.notifyAll();
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Sends the progress when there is a connection; a later one replaces it until then. */
    public void sendLatest(Report.Progress progress) {
        synchronized (lock) {
            latestProgress = progress;
            lock.notifyAll();
        }
    }

    /** Waits until the agent has acknowledged every report. Returns whether it has, within the limit. */
    public boolean awaitAcknowledged(Duration limit) {
        return await(limit, () -> outbox.size() == 0);
    }

    /** Waits for the first connection. Returns whether there was one within the limit. */
    public boolean awaitConnected(Duration limit) {
        return await(limit, () -> wasConnected);
    }

    /**
     * Passes the orders about executors to {@code subscriber}, and calls {@code onAgentForgot} when the agent comes
     * back without what it had acknowledged, so that the application can be told again. One subscriber at a time.
     */
    public void subscribe(Consumer<Order> subscriber, Runnable onAgentForgot) {
        synchronized (lock) {
            this.subscriber = subscriber;
            this.onAgentForgot = onAgentForgot;
        }
    }

    /** Ends what {@link #subscribe} began. */
    public void unsubscribe() {
        subscribe(order -> {}, () -> {});
    }

    /**
     * Hangs up for good. A thread that waits in a system call, as the reader does, would hold up the JVM's exit by 300 ms.
     */
    public void close() {
        synchronized (lock) {
            isClosed = true;
            if (connection != null) {
                closeQuietly(connection);
            }
            lock.notifyAll();
        }
    }

    private boolean isClosed() {
        synchronized (lock) {
            return isClosed;
        }
    }

    private boolean await(Duration limit, java.util.function.BooleanSupplier condition) {
        long deadline = System.nanoTime() + limit.toNanos();
        synchronized (lock) {
            while (!condition.getAsBoolean()) {
                long leftMs = (deadline - System.nanoTime()) / 1_000_000;
                if (leftMs <= 0) {
                    return false;
                }
                try {
                    lock.wait(leftMs);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return false;
                }
            }
            return true;
        }
    }

    private void connectForever() {
        while (!isClosed()) {
            try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                channel.connect(UnixDomainSocketAddress.of(SocketPath.connectable(socket)));
                if (!serve(channel)) {
                    return;
                }
            } catch (IOException e) {
                // Expected while the agent restarts; it has the log of its own absence.
            } catch (Json.MalformedException e) {
                Log.warn("the agent sent what is not a message: " + e.getMessage());
            } finally {
                synchronized (lock) {
                    connection = null;
                }
            }
            if (!isClosed()) {
                try {
                    Thread.sleep(RETRY.toMillis());
                } catch (InterruptedException e) {
                    return;
                }
            }
        }
    }

    /** Serves one connection until it breaks. Returns false if the agent refused this JVM. */
    private boolean serve(SocketChannel channel) throws IOException, Json.MalformedException {
        LineReader lines = new LineReader(channel);
        write(channel, hello());
        Map<String, Object> answer = Json.parseObject(lines.readLine());
        switch (Order.string(answer, "type")) {
            case "reject" -> {
                handler.onRejected(Order.string(answer, "reason"));
                return false;
            }
            case "welcome" -> {
                long protocol = Order.number(answer, "protocol");
                if (protocol != PROTOCOL) {
                    handler.onRejected("the agent speaks protocol " + protocol + ", this JVM " + PROTOCOL);
                    return false;
                }
                resume(channel, Order.number(answer, "last_received"));
            }
            default -> throw new Json.MalformedException("neither welcome nor reject");
        }
        while (true) {
            receive(Json.parseObject(lines.readLine()));
        }
    }

    private Map<String, Object> hello() {
        Map<String, Object> hello = new LinkedHashMap<>();
        hello.put("type", "hello");
        hello.put("protocol", PROTOCOL);
        hello.put("worker_id", identity.workerId());
        hello.put("session", identity.session());
        hello.put("pid", identity.pid());
        synchronized (lock) {
            hello.put("last_received", lastReceived);
        }
        return hello;
    }

    private void resume(SocketChannel channel, long receivedByAgent) {
        Runnable tellAgain;
        synchronized (lock) {
            boolean agentForgot = outbox.resume(receivedByAgent);
            tellAgain = agentForgot ? onAgentForgot : () -> {};
            connection = channel;
            wasConnected = true;
            lock.notifyAll();
        }
        tellAgain.run();
    }

    private void receive(Map<String, Object> message) throws Json.MalformedException {
        if (Order.string(message, "type").equals("ack")) {
            long seq = Order.number(message, "seq");
            synchronized (lock) {
                outbox.acknowledge(seq);
                lock.notifyAll();
            }
            return;
        }
        long seq = Order.number(message, "seq");
        Consumer<Order> alsoTold;
        boolean isNew;
        synchronized (lock) {
            isNew = seq > lastReceived;
            alsoTold = subscriber;
        }
        if (isNew) {
            Order order = Order.parse(message);
            try {
                handler.onOrder(order);
                alsoTold.accept(order);
            } catch (RuntimeException e) {
                // The channel must outlive a handler's bug; the order counts as received, a repetition would not help.
                Log.warn("handling an order failed: " + e);
            }
        }
        synchronized (lock) {
            lastReceived = Math.max(lastReceived, seq);
            oweAcknowledgement = true;
            lock.notifyAll();
        }
    }

    private void writeForever() {
        while (!isClosed()) {
            SocketChannel channel;
            Map<String, Object> message = new LinkedHashMap<>();
            synchronized (lock) {
                channel = connection;
                Outbox.Numbered numbered;
                if (channel == null) {
                    numbered = null;
                } else if (oweAcknowledgement) {
                    oweAcknowledgement = false;
                    message.put("type", "ack");
                    message.put("seq", lastReceived);
                } else if ((numbered = outbox.takeUnsent()) != null) {
                    message.putAll(numbered.report().toJson());
                    message.put("seq", numbered.seq());
                } else if (latestProgress != null) {
                    message.putAll(latestProgress.toJson());
                    latestProgress = null;
                }
                if (message.isEmpty()) {
                    try {
                        lock.wait();
                    } catch (InterruptedException e) {
                        return;
                    }
                    continue;
                }
            }
            try {
                write(channel, message);
            } catch (IOException e) {
                closeQuietly(channel); // The reader notices, reconnects, and what was lost is sent again.
                synchronized (lock) {
                    if (connection == channel) {
                        connection = null;
                    }
                }
            }
        }
    }

    private static void write(SocketChannel channel, Map<String, Object> message) throws IOException {
        byte[] line = (Json.write(message) + "\n").getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = ByteBuffer.wrap(line);
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static void closeQuietly(SocketChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            // It is broken already.
        }
    }

    private static void daemon(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        thread.start();
    }
}
