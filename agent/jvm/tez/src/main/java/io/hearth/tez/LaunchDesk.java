package io.hearth.tez;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where task workers join the driver and wait to be told what to run.
 *
 * <p>A worker's JVM is up before anybody knows which container it will be, so it comes here by itself, as a Spark
 * executor registers with its driver. Its connection is kept, without a thread, until its launch context is known.
 */
final class LaunchDesk implements Closeable {
    private static final Logger LOG = LoggerFactory.getLogger(LaunchDesk.class);

    /** A handshake takes a round trip; more workers than this at once wait their turn. */
    private static final int GREETERS = 4;
    /** How long a caller may take to say who it is. */
    private static final int PATIENCE_MS = 10_000;
    /** Connections that the system keeps until they are accepted: a job's first wave of workers. */
    private static final int BACKLOG = 1_000;

    /** Is told of workers that are ready. */
    interface Listener {
        /** Returns whether the worker is wanted; one that is not is sent away. */
        boolean onJoined(Handshake.Joining joining);
    }

    private final ServerSocket server;
    private final String secret;
    private final Listener listener;
    private final Map<String, Socket> waiting = new ConcurrentHashMap<>();
    private final ExecutorService greeters = Executors.newFixedThreadPool(GREETERS, body -> {
        Thread thread = new Thread(body, "hearth-tez-greeter");
        thread.setDaemon(true);
        return thread;
    });

    private LaunchDesk(ServerSocket server, String secret, Listener listener) {
        this.server = server;
        this.secret = secret;
        this.listener = listener;
    }

    /** Listens on a port of the system's choice at {@code host}, the address at which workers reach this one. */
    static LaunchDesk open(String host, String secret, Listener listener) throws IOException {
        ServerSocket server = new ServerSocket();
        server.bind(new InetSocketAddress(InetAddress.getByName(host), 0), BACKLOG);
        LaunchDesk desk = new LaunchDesk(server, secret, listener);
        Thread acceptor = new Thread(desk::acceptForever, "hearth-tez-launch-desk");
        acceptor.setDaemon(true);
        acceptor.start();
        return desk;
    }

    int port() {
        return server.getLocalPort();
    }

    /** Tells a worker that waits here what to run. Fails if it is not here (any more). */
    void launch(String worker, byte[] context) throws IOException {
        try (Socket socket = waiting.remove(worker)) {
            if (socket == null) {
                throw new IOException("worker " + worker + " does not wait to be launched");
            }
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            out.writeInt(context.length);
            out.write(context);
            out.flush();
        }
    }

    /** Sends a worker away that was not launched; others are let be. */
    void dismiss(String worker) {
        closeQuietly(waiting.remove(worker));
    }

    private void acceptForever() {
        while (!server.isClosed()) {
            try {
                Socket socket = server.accept();
                greeters.execute(() -> greet(socket));
            } catch (IOException e) {
                if (!server.isClosed()) {
                    LOG.warn("accepting a task worker failed", e);
                }
            }
        }
    }

    private void greet(Socket socket) {
        try {
            socket.setSoTimeout(PATIENCE_MS);
            socket.setKeepAlive(true);
            Handshake.Joining joining = Handshake.admit(new DataInputStream(socket.getInputStream()),
                    new DataOutputStream(socket.getOutputStream()), secret);
            closeQuietly(waiting.put(joining.worker(), socket));
            if (!listener.onJoined(joining)) {
                dismiss(joining.worker());
            }
        } catch (IOException e) {
            LOG.warn("a task worker could not join: {}", e.toString());
            closeQuietly(socket);
        }
    }

    @Override
    public void close() throws IOException {
        server.close();
        greeters.shutdownNow();
        waiting.values().forEach(LaunchDesk::closeQuietly);
    }

    private static void closeQuietly(Socket socket) {
        if (socket != null) {
            try {
                socket.close();
            } catch (IOException e) {
                // It is given up anyway.
            }
        }
    }
}
