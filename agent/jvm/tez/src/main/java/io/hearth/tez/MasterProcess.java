package io.hearth.tez;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.yarn.api.ApplicationConstants;
import org.apache.hadoop.yarn.api.ApplicationConstants.Environment;
import org.apache.hadoop.yarn.api.records.ContainerId;

/**
 * Starts Tez's application master as a child of the driver: in the same worker, so both share its limits and its end.
 *
 * <p>The start is a node manager's: resources in a directory of its own, a shell script that exports the environment and
 * becomes the command. The class path is replaced by the release's, because hearth's releases are on every host and
 * nothing of Tez is uploaded.
 */
final class MasterProcess {
    /** Where the application master logs, below the driver's logs: its stdout and stderr are not the driver's. */
    static final String LOGS = "tez-am";

    private final Path directory;
    private final Process process;

    private MasterProcess(Path directory, Process process) {
        this.directory = directory;
        this.process = process;
    }

    /** Brings the resources and starts the process; {@code socket} is its line to this JVM. */
    static MasterProcess start(LaunchContext context, ContainerId id, Path socket, TezCluster.Settings settings,
            Configuration conf) throws IOException {
        Path directory = settings.home().resolve("tez").resolve(id.toString());
        Path logs = settings.logs().resolve(LOGS);
        Files.createDirectories(directory.resolve("tmp"));
        Files.createDirectories(logs);
        new Localizer(conf).bring(context.resources(), directory);
        Path tokens = directory.resolve("container_tokens");
        context.writeTokens(tokens);

        Map<String, String> environment = new TreeMap<>(context.environment());
        environment.putAll(settings.masterEnvironment());
        environment.put(Environment.CONTAINER_ID.name(), id.toString());
        environment.put(Environment.NM_HOST.name(), settings.host());
        environment.put(Environment.NM_PORT.name(), "0");
        environment.put(Environment.NM_HTTP_PORT.name(), "0");
        environment.put(ApplicationConstants.APP_SUBMIT_TIME_ENV, Long.toString(System.currentTimeMillis()));
        environment.put(Environment.USER.name(), System.getProperty("user.name"));
        environment.put(Environment.PWD.name(), directory.toString());
        environment.put(Environment.LOCAL_DIRS.name(), directory.toString());
        environment.put(Environment.LOG_DIRS.name(), logs.toString());
        environment.put(ApplicationConstants.CONTAINER_TOKEN_FILE_ENV_NAME, tokens.toString());
        environment.put(Environment.JAVA_HOME.name(), System.getProperty("java.home"));
        environment.put(Environment.CLASSPATH.name(), directory + ":" + settings.classPath() + ":" + directory + "/*");
        environment.put("JDK_JAVA_OPTIONS", openedModules());
        environment.put(MasterLink.SOCKET, directory.relativize(socket.toAbsolutePath()).toString());

        Path script = directory.resolve("launch.sh");
        Files.writeString(script, script(environment, context.command(logs)));
        Process process = new ProcessBuilder("/bin/bash", script.toString())
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("launch.log").toFile())
                .start();
        process.getOutputStream().close();
        return new MasterProcess(directory, process);
    }

    /** As in YARN, values are for the shell to expand. */
    private static String script(Map<String, String> environment, String command) {
        StringBuilder script = new StringBuilder("umask 077\n");
        environment.forEach((name, value) -> script.append("export ").append(name).append("=\"")
                .append(LaunchContext.expand(value).replace("\\", "\\\\").replace("\"", "\\\"").replace("`", "\\`"))
                .append("\"\n"));
        return script.append("exec ").append(command).append('\n').toString();
    }

    /** What the driver's own start line opens, Hadoop's libraries need in the child as well. */
    private static String openedModules() {
        return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(option -> option.startsWith("--add-opens"))
                .collect(Collectors.joining(" "));
    }

    Process process() {
        return process;
    }

    /** What the shell had to say, for a process that never became Java. */
    String shellOutput() {
        try {
            return Files.readString(directory.resolve("launch.log")).strip();
        } catch (IOException e) {
            return "";
        }
    }

    /** Ends the process and its children without waiting for them. */
    void kill() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }
}
