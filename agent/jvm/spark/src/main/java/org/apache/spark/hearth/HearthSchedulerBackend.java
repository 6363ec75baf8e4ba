package org.apache.spark.hearth;

import io.hearth.launcher.ControlChannel;
import io.hearth.launcher.Order;
import io.hearth.launcher.Report;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.spark.SparkContext;
import org.apache.spark.resource.ResourceProfile;
import org.apache.spark.rpc.RpcAddress;
import org.apache.spark.scheduler.ExecutorDecommissionInfo;
import org.apache.spark.scheduler.ExecutorExited;
import org.apache.spark.scheduler.ExecutorProcessLost;
import org.apache.spark.scheduler.TaskSchedulerImpl;
import org.apache.spark.scheduler.cluster.CoarseGrainedSchedulerBackend;
import org.apache.spark.scheduler.cluster.SchedulerBackendUtils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Option;
import scala.PartialFunction;
import scala.Tuple2;
import scala.collection.JavaConverters;
import scala.collection.Seq;
import scala.concurrent.Future;
import scala.concurrent.Future$;
import scala.runtime.BoxedUnit;

/**
 * Asks the local agent for executors and tells Spark what became of them.
 *
 * <p>Executors register with the driver over Spark's own protocol; this class only states how many are wanted, which are
 * no longer wanted, and why one was lost. A lost connection alone says nothing about the cause, so an executor that
 * disconnects is disabled, and the agent's word decides whether the application is to blame.
 */
final class HearthSchedulerBackend extends CoarseGrainedSchedulerBackend {
    private static final Logger LOG = LoggerFactory.getLogger(HearthSchedulerBackend.class);

    /** How long the agent may take to say why an executor disconnected. */
    static final Duration VERDICT = Duration.ofSeconds(10);

    /** The share of executors that must have registered before tasks start, as with YARN and Kubernetes. */
    private static final double MIN_REGISTERED_RATIO = 0.8;

    /** How often progress is reported. */
    private static final Duration PROGRESS = Duration.ofSeconds(1);

    /** Counts the contexts of this JVM: each needs an application id, and thus an event log, of its own. */
    private static final AtomicInteger CONTEXTS = new AtomicInteger();

    /** Why this JVM's job was given up by the backend, or null. */
    private static volatile String gaveUp;

    private final TaskSchedulerImpl scheduler;
    private final SparkContext context;
    private final ControlChannel agent;
    private final String appId;
    private final ExecutorFailures failures;
    private final ScheduledExecutorService timers;
    private final ExecutorVerdicts verdicts;
    private final JobProgress progress;
    private volatile Report.SetTarget target;
    private volatile boolean isShort;
    private volatile boolean isStopped;

    HearthSchedulerBackend(TaskSchedulerImpl scheduler, SparkContext context, ControlChannel agent) {
        // The base class creates the driver endpoint, and no executor can know its address before start().
        super(scheduler, context.env().rpcEnv());
        this.scheduler = scheduler;
        this.context = context;
        this.agent = agent;
        this.appId = applicationId(context, super.applicationId());
        this.failures = new ExecutorFailures(context.conf(), () -> TimeUnit.NANOSECONDS.toMillis(System.nanoTime()));
        this.timers = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread thread = new Thread(task, "hearth-backend-timers");
            thread.setDaemon(true);
            return thread;
        });
        this.verdicts = new ExecutorVerdicts(timers, VERDICT, this::onNoVerdict);
        this.progress = new JobProgress(() -> timers.execute(this::reportProgress));
    }

    private static String applicationId(SparkContext context, String generated) {
        String given = context.conf().get("spark.hearth.appId", generated);
        int earlier = CONTEXTS.getAndIncrement();
        return earlier == 0 ? given : given + "-" + (earlier + 1);
    }

    /** Why the backend stopped the job; without it the program sees only that its context was stopped. */
    static Optional<String> whyGivenUp() {
        return Optional.ofNullable(gaveUp);
    }

    @Override
    public String applicationId() {
        return appId;
    }

    @Override
    public void start() {
        super.start();
        String driverUrl = "spark://" + ENDPOINT_NAME() + "@" + conf().get("spark.driver.host") + ":"
                + conf().get("spark.driver.port");
        ResourceProfile profile = context.resourceProfileManager().defaultResourceProfile();
        Report.RegisterApp registration = ExecutorStartup.describe(context, appId, driverUrl);
        target = new Report.SetTarget(List.of(ExecutorSize.of(profile, conf()).times(profile.id(), initialExecutors())));
        agent.subscribe(this::onOrder, () -> {
            agent.send(registration);
            agent.send(target);
        });
        agent.send(registration);
        agent.send(target);
        context.listenerBus().addToQueue(progress, "hearth");
        timers.scheduleWithFixedDelay(this::reportProgress, PROGRESS.toMillis(), PROGRESS.toMillis(),
                TimeUnit.MILLISECONDS);
    }

    @Override
    public void stop() {
        if (isStopped) {
            return;
        }
        isStopped = true;
        try {
            super.stop();
        } finally {
            agent.unsubscribe();
            timers.shutdownNow();
            agent.sendLatest(progress.latest());
            agent.send(new Report.UnregisterApp());
        }
    }

    @Override
    public double minRegisteredRatio() {
        return conf().contains("spark.scheduler.minRegisteredResourcesRatio")
                ? super.minRegisteredRatio()
                : MIN_REGISTERED_RATIO;
    }

    /**
     * Tells whether the program may go on. With several executors it waits for most of them, so that the first tasks are
     * spread; a single one, or a cluster that says it has no room for more, is nothing to wait for.
     */
    @Override
    public boolean sufficientResourcesRegistered() {
        int initial = initialExecutors();
        return initial <= 1 || isShort || totalRegisteredExecutors().get() >= initial * minRegisteredRatio();
    }

    /** Counts the cores of the first executor before it is there, since the program does not wait for it. */
    @Override
    public int defaultParallelism() {
        int parallelism = super.defaultParallelism();
        if (conf().contains("spark.default.parallelism") || totalRegisteredExecutors().get() > 0) {
            return parallelism;
        }
        ResourceProfile profile = context.resourceProfileManager().defaultResourceProfile();
        return Math.max(parallelism, ExecutorSize.of(profile, conf()).cores());
    }

    private int initialExecutors() {
        return SchedulerBackendUtils.getInitialTargetExecutorNumber(
                conf(), SchedulerBackendUtils.DEFAULT_NUMBER_EXECUTORS());
    }

    @Override
    public Future<Object> doRequestTotalExecutors(
            scala.collection.immutable.Map<ResourceProfile, Object> totals) {
        List<Report.ProfileTarget> profiles = new ArrayList<>();
        for (Map.Entry<ResourceProfile, Object> total : JavaConverters.mapAsJavaMap(totals).entrySet()) {
            ResourceProfile profile = total.getKey();
            profiles.add(ExecutorSize.of(profile, conf()).times(profile.id(), (Integer) total.getValue()));
        }
        profiles.sort(Comparator.comparingInt(Report.ProfileTarget::profileId));
        Report.SetTarget wanted = new Report.SetTarget(List.copyOf(profiles));
        if (!wanted.equals(target)) {
            target = wanted;
            agent.send(wanted);
        }
        return Future$.MODULE$.successful(true);
    }

    @Override
    public Future<Object> doKillExecutors(Seq<String> ids) {
        agent.send(new Report.KillExecutors(List.copyOf(JavaConverters.seqAsJavaList(ids))));
        return Future$.MODULE$.successful(true);
    }

    @Override
    public DriverEndpoint createDriverEndpoint() {
        return new Endpoint();
    }

    /** Leaves the judgement on a lost connection to the agent; the base class would blame the application. */
    private final class Endpoint extends DriverEndpoint {
        Endpoint() {
            HearthSchedulerBackend.this.super();
        }

        @Override
        public void onDisconnected(RpcAddress address) {
            Option<String> executor = addressToExecutorId().get(address);
            if (executor.isDefined() && disableExecutor(executor.get())) {
                verdicts.await(executor.get());
            }
        }

        @Override
        public PartialFunction<Object, BoxedUnit> receive() {
            return new MissedHeartbeats(super.receive(), HearthSchedulerBackend.this::onHeartbeatsMissed);
        }
    }

    /** One that hangs is replaced, and would be for ever: so it counts, though no task is charged. */
    private void onHeartbeatsMissed(String id) {
        countFailure("executor " + id + " sent no heartbeats");
    }

    private void onOrder(Order order) {
        if (order instanceof Order.ExecutorExited exited) {
            onExecutorExited(exited);
        } else if (order instanceof Order.LaunchFailed failed) {
            isShort = true;
            LOG.warn("No executor of resource profile {} could be launched: {}", failed.profileId(), failed.reason());
        } else if (order instanceof Order.ExecutorLaunched launched) {
            LOG.info("Executor {} was launched on {}", launched.id(), launched.host());
        } else if (order instanceof Order.Decommission decommission) {
            onDecommission(decommission);
        }
    }

    private void onExecutorExited(Order.ExecutorExited exited) {
        verdicts.settle(exited.id());
        LOG.info("Executor {} exited with {}: {}", exited.id(), exited.exitCode(), exited.reason());
        removeExecutor(exited.id(), new ExecutorExited(exited.exitCode(), exited.causedByApp(), exited.reason()));
        if (exited.causedByApp() && exited.exitCode() != 0) {
            countFailure(exited.reason());
        }
    }

    private void countFailure(String reason) {
        int failed = failures.add();
        if (failed > failures.limit()) {
            timers.execute(() -> giveUp(failed, reason));
        }
    }

    /** Ends the job when its executors keep failing, which would otherwise replace them for ever. */
    private void giveUp(int failed, String lastReason) {
        String message = "Max number of executor failures (" + failures.limit() + ") reached: " + failed
                + " executors failed, the last one: " + lastReason;
        if (gaveUp == null) {
            gaveUp = message;
        }
        try {
            scheduler.error(message);
        } catch (Exception e) {
            // Scala's unchecked SparkException: no task set was there to be aborted, so nobody has been told.
            LOG.error(message, e);
            context.stopInNewThread();
        }
    }

    /** The agent did not explain a lost connection: the executor is given up, and nobody is blamed. */
    private void onNoVerdict(String id) {
        LOG.warn("Executor {} disconnected and the agent did not say why within {} s", id, VERDICT.toSeconds());
        removeExecutor(id, new ExecutorProcessLost("Executor disconnected for an unknown reason", Option.empty(), false));
        agent.send(new Report.KillExecutors(List.of(id)));
    }

    private void onDecommission(Order.Decommission decommission) {
        @SuppressWarnings({"unchecked", "rawtypes"}) // Scala's Array[(String, ExecutorDecommissionInfo)] is a raw Tuple2[].
        Tuple2<String, ExecutorDecommissionInfo>[] leaving = new Tuple2[decommission.ids().size()];
        for (int i = 0; i < leaving.length; i++) {
            ExecutorDecommissionInfo why = new ExecutorDecommissionInfo(decommission.reason(), Option.empty());
            leaving[i] = new Tuple2<>(decommission.ids().get(i), why);
        }
        // The target stays, so that replacements come; the wish to leave is not the executors' own.
        timers.execute(() -> decommissionExecutors(leaving, false, false));
    }

    private void reportProgress() {
        progress.takeChanged().ifPresent(agent::sendLatest);
    }
}
