package io.hearth.tez;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class LaunchDeskTest {
    private static final String HOST = "127.0.0.1";

    private final BlockingQueue<Handshake.Joining> joined = new LinkedBlockingQueue<>();

    private static DataInputStream join(Socket socket, String secret, String worker) throws IOException {
        socket.setSoTimeout(20_000);
        DataInputStream in = new DataInputStream(socket.getInputStream());
        Handshake.join(in, new DataOutputStream(socket.getOutputStream()), secret,
                new Handshake.Joining(worker, 3, "10.0.0.2", 4711));
        return in;
    }

    @Test
    void aWorkerOfTheJobWaitsAndIsToldWhatToRun() throws Exception {
        try (LaunchDesk desk = LaunchDesk.open(HOST, "secret", joined::add); Socket socket = new Socket(HOST, desk.port())) {
            DataInputStream in = join(socket, "secret", "7");
            assertEquals(new Handshake.Joining("7", 3, "10.0.0.2", 4711), joined.poll(20, TimeUnit.SECONDS));
            desk.launch("7", new byte[] {1, 2, 3});
            byte[] context = new byte[in.readInt()];
            in.readFully(context);
            assertArrayEquals(new byte[] {1, 2, 3}, context);
            assertThrows(IOException.class, () -> desk.launch("7", new byte[0]));
        }
    }

    @Test
    void aWorkerThatIsNotWantedIsSentAway() throws Exception {
        try (LaunchDesk desk = LaunchDesk.open(HOST, "secret", joining -> false);
                Socket socket = new Socket(HOST, desk.port())) {
            assertEquals(-1, join(socket, "secret", "7").read());
        }
    }

    @Test
    void whoDoesNotKnowTheSecretNeitherJoinsNorIsBelieved() throws Exception {
        try (LaunchDesk desk = LaunchDesk.open(HOST, "secret", joined::add); Socket socket = new Socket(HOST, desk.port())) {
            assertThrows(IOException.class, () -> join(socket, "another", "7"));
            assertThrows(IOException.class, () -> desk.launch("7", new byte[0]));
            assertEquals(0, joined.size());
        }
    }
}
