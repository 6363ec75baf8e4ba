package io.hearth.tez;

import io.hearth.launcher.Engine;
import io.hearth.launcher.Order;
import io.hearth.launcher.Outcome;
import io.hearth.launcher.ProcessEnvironmentPatch;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.hadoop.yarn.api.ApplicationConstants;
import org.apache.hadoop.yarn.api.ApplicationConstants.Environment;

/**
 * Turns this JVM into a Tez task container: joins the driver, waits for its launch context, and becomes Tez's own
 * {@code TezChild} with it.
 *
 * <p>Arguments: the driver's {@code host:port}, this worker's id, the number of its profile, and its address.
 */
public final class TezTaskEngine implements Engine {
    @Override
    public String kind() {
        return "tez-task";
    }

    @Override
    public Outcome run(Order.Run order) throws IOException, ReflectiveOperationException {
        List<String> args = order.args();
        String[] driver = args.get(0).split(":");
        String host = args.get(3);
        // Logging is configured by what the launch context says, so nothing before it may log.
        ShuffleServer shuffle = ShuffleServer.open(host);
        Optional<LaunchContext> context = join(driver[0], Integer.parseInt(driver[1]), order.secret(),
                new Handshake.Joining(args.get(1), Integer.parseInt(args.get(2)), host, shuffle.port()));
        if (context.isEmpty()) {
            return Outcome.exited(0); // Nobody wants it any more.
        }
        Path home = Path.of("").toAbsolutePath();
        Path logs = Path.of(System.getProperty("hearth.logs", home.toString()));
        TaskCommand command = TaskCommand.parse(context.get().command(logs));
        command.properties().forEach(System::setProperty);
        Path tokens = home.resolve("container_tokens");
        context.get().writeTokens(tokens);
        ProcessEnvironmentPatch.merge(environment(context.get(), host, shuffle.port(), home, logs, tokens));
        TaskStart.run(context.get(), command, driver[0], shuffle, home);
        return Outcome.exited(0);
    }

    /** Empty if the driver sends this worker away. */
    private static Optional<LaunchContext> join(String host, int port, String secret, Handshake.Joining joining)
            throws IOException {
        try (Socket socket = new Socket(host, port)) {
            socket.setKeepAlive(true);
            DataInputStream in = new DataInputStream(socket.getInputStream());
            Handshake.join(in, new DataOutputStream(socket.getOutputStream()), secret, joining);
            byte[] context;
            try {
                context = new byte[in.readInt()];
            } catch (EOFException e) {
                return Optional.empty();
            }
            in.readFully(context);
            return Optional.of(LaunchContext.parse(context));
        }
    }

    /** What a node manager would set; variables of the context that refer to others are for shells alone. */
    private static Map<String, String> environment(LaunchContext context, String host, int shufflePort, Path home,
            Path logs, Path tokens) throws IOException {
        Map<String, String> environment = new TreeMap<>(context.environment());
        environment.values().removeIf(value -> value.contains("$") || value.contains("{{"));
        Path outputs = home.resolve("outputs");
        Files.createDirectories(outputs);
        environment.put(Environment.PWD.name(), home.toString());
        environment.put(Environment.LOCAL_DIRS.name(), outputs.toString());
        environment.put(Environment.LOG_DIRS.name(), logs.toString());
        environment.put(Environment.NM_HOST.name(), host);
        environment.put(Environment.USER.name(), System.getProperty("user.name"));
        environment.put(ApplicationConstants.CONTAINER_TOKEN_FILE_ENV_NAME, tokens.toString());
        environment.put("NM_AUX_SERVICE_" + ShuffleServer.SERVICE,
                Base64.getEncoder().encodeToString(ShuffleServer.portAsServiceData(shufflePort).array()));
        return environment;
    }

    @Override
    public void cancel() {
        // A task has nothing to bring to an end; what it left undone is the application master's to repeat.
    }
}
