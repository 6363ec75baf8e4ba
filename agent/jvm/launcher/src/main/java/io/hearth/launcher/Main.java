package io.hearth.launcher;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * The main class of every worker JVM: connects to the agent, waits for its job, becomes it, reports how it ended.
 *
 * <p>What the job is arrives over the control socket after the JVM is up, so the same start serves a JVM that waits for
 * a job and one that is started for it. Environment: {@code HEARTH_CONTROL} (path of the socket),
 * {@code HEARTH_WORKER_ID}, and {@code HEARTH_WARM_UP} (the kind of job that will come) if the JVM has to wait.
 */
public final class Main {
    /** How long the agent may take to answer the first connection. */
    private static final Duration FIRST_CONNECTION = Duration.ofSeconds(60);

    private static volatile ControlChannel channel;

    private final Ending ending = new Ending();
    private final CompletableFuture<Order.Run> run = new CompletableFuture<>();
    private volatile Engine engine;

    private Main() {}

    /** The channel of this JVM, for engine plugins that the engine itself instantiates. */
    public static ControlChannel control() {
        ControlChannel current = channel;
        if (current == null) {
            throw new IllegalStateException("this JVM was not started by hearth's launcher");
        }
        return current;
    }

    public static void main(String[] args) {
        new Main().serve(required("HEARTH_CONTROL"), required("HEARTH_WORKER_ID"));
    }

    private void serve(String socket, String workerId) {
        LeaseWatch.start(Path.of(socket));
        ControlChannel.Identity identity = new ControlChannel.Identity(
                workerId, UUID.randomUUID().toString(), ProcessHandle.current().pid());
        channel = new ControlChannel(Path.of(socket), identity, new ControlChannel.Handler() {
            @Override
            public void onOrder(Order order) {
                Main.this.onOrder(order);
            }

            @Override
            public void onRejected(String reason) {
                Log.warn("the agent refused this worker: " + reason);
                Runtime.getRuntime().halt(Outcome.NO_AGENT);
            }
        });
        channel.send(new Report.Ready());
        channel.start();
        if (!channel.awaitConnected(FIRST_CONNECTION)) {
            Log.warn("no agent answered within " + FIRST_CONNECTION.toSeconds() + " s");
            Runtime.getRuntime().halt(Outcome.NO_AGENT);
        }
        warmUp(System.getenv("HEARTH_WARM_UP"));
        Outcome outcome = perform(run.join());
        if (ending.settle()) {
            ending.exit(channel, outcome);
        }
        ending.awaitExit();
    }

    private void warmUp(String kind) {
        if (kind == null) {
            return;
        }
        try {
            Optional<Engine> waiting = engine(kind);
            if (waiting.isPresent()) {
                waiting.get().warmUp(run::isDone);
            }
        } catch (Exception | LinkageError e) {
            Log.warn("warming up failed, the job starts slower: " + e);
        }
    }

    private void onOrder(Order order) {
        if (order instanceof Order.Run job) {
            if (!run.complete(job)) {
                Log.warn("a second job was refused");
            }
        } else if (order instanceof Order.Cancel cancel) {
            cancel(Duration.ofMillis(cancel.graceMs()));
        }
    }

    private static Optional<Engine> engine(String kind) {
        return ServiceLoader.load(Engine.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(candidate -> candidate.kind().equals(kind))
                .findFirst();
    }

    private Outcome perform(Order.Run order) {
        Optional<Engine> found = engine(order.kind());
        if (found.isEmpty()) {
            return new Outcome(Outcome.NO_AGENT, null, "no engine for a worker of kind " + order.kind());
        }
        engine = found.get();
        channel.send(new Report.Started());
        try {
            ProcessEnvironmentPatch.merge(order.env());
        } catch (ReflectiveOperationException | RuntimeException e) {
            return Outcome.failed(Outcome.NO_AGENT, e);
        }
        for (Map.Entry<String, String> property : order.properties().entrySet()) {
            System.setProperty(property.getKey(), property.getValue());
        }
        try {
            return engine.run(order);
        } catch (Throwable error) {
            // An engine that cannot even be loaded ends like a job that fails: with a report, not with silence.
            error.printStackTrace();
            return Outcome.failed(1, error);
        }
    }

    /** Stops the job in the background, and the JVM when the grace is over, whatever the job does. */
    private void cancel(Duration grace) {
        if (!ending.settle()) {
            return; // It is ending already.
        }
        Thread deadline = new Thread(() -> {
            try {
                Thread.sleep(grace.toMillis());
            } catch (InterruptedException e) {
                // Nobody interrupts it; halting early would be the safe side anyway.
            }
            Runtime.getRuntime().halt(Outcome.CANCELLED);
        }, "hearth-cancel-deadline");
        deadline.setDaemon(true);
        deadline.start();
        Thread stop = new Thread(() -> {
            Engine running = engine;
            if (running != null) {
                try {
                    running.cancel();
                } catch (RuntimeException e) {
                    Log.warn("stopping the job failed: " + e);
                }
            }
            ending.exit(channel, Outcome.exited(Outcome.CANCELLED));
        }, "hearth-cancel");
        stop.setDaemon(true);
        stop.start();
    }

    private static String required(String variable) {
        String value = System.getenv(variable);
        if (value == null || value.isEmpty()) {
            Log.warn("the environment has no " + variable);
            Runtime.getRuntime().halt(Outcome.NO_AGENT);
        }
        return value;
    }
}
