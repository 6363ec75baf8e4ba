package org.apache.spark.hearth;

import io.hearth.launcher.Json;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Makes the class-data archives that let a worker JVM start in half the time.
 *
 * <p>Runs a small real job with one executor and lets both JVMs write an archive as they exit
 * ({@code -XX:ArchiveClassesAtExit}). An archive fits only the JDK, the class path (names, sizes and times of its jars, in
 * order) and the options it was made with; otherwise the JVM ignores it silently. So this runs once per bundle and JDK,
 * where workers will run, with the class path they will have.
 *
 * <p>Arguments: a directory that holds {@code driver.jsa} and {@code executor.jsa} afterwards. Environment:
 * {@code SPARK_HOME}. The working directory is used for scratch. Exits 0 if both archives were written.
 */
public final class ArchiveTraining {
    private static final long LIMIT_SECONDS = 300;

    private final Path archives;
    private final Path scratch;
    private final List<Process> processes = new ArrayList<>();

    private ArchiveTraining(Path archives, Path scratch) {
        this.archives = archives;
        this.scratch = scratch;
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 1) {
            System.err.println("Usage: ArchiveTraining <directory for the archives>");
            System.exit(64);
        }
        Path archives = Files.createDirectories(Path.of(args[0])).toAbsolutePath();
        Path scratch = Files.createTempDirectory(Path.of("").toAbsolutePath(), "training");
        System.exit(new ArchiveTraining(archives, scratch).run() ? 0 : 1);
    }

    private boolean run() throws Exception {
        Path script = scratch.resolve("training.py");
        try (InputStream source = ArchiveTraining.class.getResourceAsStream("training.py")) {
            Files.copy(source, script);
        }
        List<String> arguments = new ArrayList<>(List.of("--master", "spark-hearth://training", "--name", "training"));
        Map<String, String> conf = Map.of("spark.executor.instances", "1", "spark.executor.memory", "512m",
                "spark.driver.host", "127.0.0.1", "spark.driver.bindAddress", "127.0.0.1", "spark.authenticate", "true",
                "spark.hadoop.fs.s3a.endpoint", "http://127.0.0.1:1", "spark.hadoop.fs.s3a.attempts.maximum", "1",
                "spark.hadoop.fs.s3a.retry.limit", "0", "spark.hadoop.fs.s3a.aws.credentials.provider",
                "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider");
        conf.forEach((name, value) -> arguments.addAll(List.of("--conf", name + "=" + value)));
        arguments.addAll(List.of("--conf", "spark.eventLog.enabled=true", "--conf", "spark.eventLog.dir=" + scratch.toUri()));
        arguments.addAll(List.of(script.toString(), scratch.resolve("data").toString()));
        start("driver", run("spark-driver", arguments, Map.of()));
        boolean isWritten = true;
        for (String role : List.of("driver", "executor")) {
            Process process = process(role);
            if (process == null || !process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0
                    || !Files.isRegularFile(archives.resolve(role + ".jsa"))) {
                System.err.println("the training " + role + " failed, see " + scratch);
                isWritten = false;
                break;
            }
        }
        for (Process process : processes()) {
            process.destroyForcibly().waitFor();
        }
        if (isWritten) {
            deleteTree(scratch.toFile());
        }
        return isWritten;
    }

    private synchronized List<Process> processes() {
        return List.copyOf(processes);
    }

    /** The driver is started first, the executor before the driver can end. */
    private Process process(String role) {
        List<Process> started = processes();
        int index = role.equals("driver") ? 0 : 1;
        return index < started.size() ? started.get(index) : null;
    }

    /** Starts a worker JVM that writes its archive, and the agent's side of its control channel. */
    private void start(String role, Map<String, Object> run) throws IOException {
        Path work = Files.createDirectories(scratch.resolve(role));
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        Path socket = Files.createTempDirectory("hearth").resolve("control.sock");
        server.bind(UnixDomainSocketAddress.of(socket));
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx1g"));
        command.addAll(SparkVersions.moduleOptions());
        command.addAll(List.of("-XX:ArchiveClassesAtExit=" + archives.resolve(role + ".jsa"), "-cp",
                System.getProperty("java.class.path"), "io.hearth.launcher.Main"));
        ProcessBuilder builder = new ProcessBuilder(command).directory(work.toFile())
                .redirectOutput(work.resolve("stdout").toFile()).redirectError(work.resolve("stderr").toFile());
        builder.environment().putAll(Map.of("HEARTH_CONTROL", socket.toString(), "HEARTH_WORKER_ID", role));
        synchronized (this) {
            processes.add(builder.start());
        }
        Thread agent = new Thread(() -> serve(server, socket, run), "agent-of-" + role);
        agent.setDaemon(true);
        agent.start();
    }

    private void serve(ServerSocketChannel server, Path socket, Map<String, Object> run) {
        try (server; SocketChannel channel = server.accept()) {
            Files.delete(socket);
            Files.delete(socket.getParent());
            BufferedReader lines = new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8));
            lines.readLine();
            write(channel, Map.of("type", "welcome", "protocol", 1, "last_received", 0));
            write(channel, run);
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Map<String, Object> report = Json.parseObject(line);
                if (report.get("seq") != null) {
                    if (report.get("type").equals("register_app")) {
                        start("executor", executor(report));
                    }
                    write(channel, Map.of("type", "ack", "seq", report.get("seq")));
                }
            }
        } catch (IOException | Json.MalformedException e) {
            System.err.println("training: " + e);
        }
    }

    private static Map<String, Object> executor(Map<String, Object> registration) {
        Map<?, ?> executor = (Map<?, ?>) registration.get("executor");
        return run("spark-executor", List.of("--driver-url", (String) registration.get("driver_url"), "--executor-id", "1",
                "--hostname", "127.0.0.1", "--bind-address", "127.0.0.1", "--cores", "1", "--app-id",
                (String) registration.get("app_id"), "--resourceProfileId", "0"), executor.get("properties"));
    }

    private static Map<String, Object> run(String kind, List<String> args, Object properties) {
        Map<String, Object> run = new LinkedHashMap<>();
        run.put("type", "run");
        run.put("seq", 1);
        run.put("kind", kind);
        run.put("args", args);
        run.put("properties", properties);
        run.put("env", Map.of());
        run.put("secret", "training"); // The job has no data and lives for seconds on the loopback interface.
        return run;
    }

    private static void write(SocketChannel channel, Map<String, Object> message) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap((Json.write(message) + "\n").getBytes(StandardCharsets.UTF_8));
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static void deleteTree(File directory) throws IOException {
        try (var paths = Files.walk(directory.toPath())) {
            for (Path path : paths.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
