package io.hearth.tez;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The driver's end of the line to the application master of one application: a Unix socket, a thread per connection. */
final class MasterDesk implements Closeable {
    private static final Logger LOG = LoggerFactory.getLogger(MasterDesk.class);

    /** Answers calls; what it throws is told to the caller, for whom it is final. */
    interface Service {
        Object answer(MasterCall call, Object request) throws YarnException, IOException;
    }

    private final Path socket;
    private final ServerSocketChannel server;
    private final Service service;

    private MasterDesk(Path socket, ServerSocketChannel server, Service service) {
        this.socket = socket;
        this.server = server;
        this.service = service;
    }

    /**
     * Listens on {@code socket}, a path relative to this process's working directory: names of sockets hold 107 bytes,
     * which the absolute path of a deep state directory exceeds.
     */
    static MasterDesk open(Path socket, Service service) throws IOException {
        Files.deleteIfExists(socket);
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        MasterDesk desk = new MasterDesk(socket, server, service);
        daemon("hearth-tez-desk", desk::acceptForever);
        return desk;
    }

    private void acceptForever() {
        while (server.isOpen()) {
            try {
                SocketChannel channel = server.accept();
                daemon("hearth-tez-master", () -> serve(channel));
            } catch (IOException e) {
                return; // It was closed.
            }
        }
    }

    private void serve(SocketChannel channel) {
        try (channel;
                DataInputStream in = new DataInputStream(Channels.newInputStream(channel));
                DataOutputStream out = new DataOutputStream(Channels.newOutputStream(channel))) {
            while (true) {
                MasterCall call = MasterCall.values()[in.readByte()];
                byte[] request = new byte[in.readInt()];
                in.readFully(request);
                boolean isAnswer = true;
                byte[] answer;
                try {
                    answer = call.writeResponse(service.answer(call, call.readRequest(request)));
                } catch (YarnException | IOException | RuntimeException e) {
                    LOG.warn("a call of the application master failed: {}", call, e);
                    isAnswer = false;
                    answer = String.valueOf(e.getMessage()).getBytes(StandardCharsets.UTF_8);
                }
                out.writeBoolean(isAnswer);
                out.writeInt(answer.length);
                out.write(answer);
                out.flush();
            }
        } catch (EOFException e) {
            // The application master has hung up.
        } catch (IOException e) {
            LOG.debug("a line to the application master broke", e);
        }
    }

    @Override
    public void close() throws IOException {
        server.close();
        Files.deleteIfExists(socket);
    }

    private static void daemon(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        thread.start();
    }
}
