package io.hearth.tez;

import io.hearth.launcher.ControlChannel;
import io.hearth.launcher.Order;
import io.hearth.launcher.Report;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.api.records.ApplicationSubmissionContext;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The YARN of one driver: its applications, one after the other, and the workers that the agent starts for them.
 *
 * <p>Towards the agent it speaks as Spark's cluster manager does: it registers, says how many workers of which size are
 * wanted in all, which ones are to go, and hears when one has ended.
 */
public final class TezCluster implements Closeable {
    private static final Logger LOG = LoggerFactory.getLogger(TezCluster.class);

    static final Resource SMALLEST = Resource.newInstance(1, 1);
    /** Sizes are the coordinator's to judge, so nothing is refused here. */
    static final Resource LARGEST = Resource.newInstance(1 << 24, 1 << 12);

    private static volatile TezCluster current;

    /** How large a worker is. */
    public record Size(long memoryMib, int cores) implements Comparable<Size> {
        @Override
        public int compareTo(Size other) {
            return Comparator.comparingLong(Size::memoryMib).thenComparingInt(Size::cores).compare(this, other);
        }
    }

    /**
     * What a driver decides for its applications.
     *
     * @param host the address at which workers reach the driver
     * @param secret what workers prove themselves with
     * @param home the driver's working directory
     * @param logs the driver's log directory
     * @param classPath the class path of the application master
     * @param masterEnvironment variables of the application master
     * @param taskJavaOptions JVM options of task workers
     * @param taskEnvironment variables of task workers
     * @param taskHeapFraction the part of a task worker's memory that is heap, unless the options say {@code -Xmx}
     * @param taskSize what a task worker usually is; Tez plans its parallelism by it
     * @param mostWorkers how many task workers the job may have at once
     */
    public record Settings(String host, String secret, Path home, Path logs, String classPath,
            Map<String, String> masterEnvironment, List<String> taskJavaOptions, Map<String, String> taskEnvironment,
            double taskHeapFraction, Size taskSize, int mostWorkers) {
        /** Keeps the secret out of every log line. */
        @Override
        public String toString() {
            return "Settings[host=" + host + "]";
        }
    }

    private final Settings settings;
    private final ControlChannel agent;
    private final LaunchDesk desk;
    private final long started = System.currentTimeMillis() * 1_000 + new SecureRandom().nextInt(1_000);

    // All below is guarded by this object.
    private final Map<ApplicationId, TezApplication> applications = new LinkedHashMap<>();
    private final Map<Size, Integer> profiles = new LinkedHashMap<>();
    private final Set<String> ended = new HashSet<>();
    private TezApplication registered;
    private Map<Size, Integer> lastTargets = Map.of();
    private int lastNumber;

    private TezCluster(Settings settings, ControlChannel agent) throws IOException {
        this.settings = settings;
        this.agent = agent;
        this.desk = LaunchDesk.open(settings.host(), settings.secret(), this::onJoined);
    }

    /** Opens the cluster of this JVM; there is one at a time. */
    public static TezCluster open(Settings settings, ControlChannel agent) throws IOException {
        TezCluster cluster = new TezCluster(settings, agent);
        agent.subscribe(cluster::onOrder, cluster::tellAgain);
        current = cluster;
        return cluster;
    }

    static TezCluster current() {
        TezCluster cluster = current;
        if (cluster == null) {
            throw new IllegalStateException("this JVM is no driver of hearth's");
        }
        return cluster;
    }

    Settings settings() {
        return settings;
    }

    /**
     * An id that no other driver has made: its first part tells the time and a little chance, for staging directories of
     * several drivers may lie beside each other.
     */
    synchronized ApplicationId newApplication() {
        return ApplicationId.newInstance(started, ++lastNumber);
    }

    void submit(ApplicationSubmissionContext context) throws YarnException, IOException {
        TezApplication application = new TezApplication(this, context);
        synchronized (this) {
            applications.put(application.id(), application);
        }
        application.start();
    }

    synchronized TezApplication application(ApplicationId id) throws YarnException {
        TezApplication application = applications.get(id);
        if (application == null) {
            throw new YarnException("hearth has no " + id);
        }
        return application;
    }

    /** The application master is there and may have workers. One at a time has. */
    synchronized void register(TezApplication application) {
        registered = application;
        lastTargets = Map.of();
        agent.send(registration());
    }

    private Report.RegisterApp registration() {
        return new Report.RegisterApp(registered.id().toString(), settings.host() + ":" + desk.port(), null,
                settings.taskJavaOptions(), settings.taskEnvironment(), Map.of(), List.of());
    }

    synchronized void unregister(TezApplication application) {
        if (registered == application) {
            registered = null;
            lastTargets = Map.of();
            agent.send(new Report.UnregisterApp());
        }
    }

    /** Says what the application wants in all, if that has changed. */
    synchronized void want(TezApplication application, Map<Size, Integer> targets) {
        if (registered == application && !targets.equals(lastTargets)) {
            lastTargets = Map.copyOf(targets);
            agent.send(target());
        }
    }

    private Report.SetTarget target() {
        lastTargets.keySet().forEach(size -> profiles.putIfAbsent(size, profiles.size()));
        List<Report.ProfileTarget> told = new ArrayList<>();
        int left = settings.mostWorkers();
        for (Map.Entry<Size, Integer> profile : profiles.entrySet()) {
            int count = Math.min(lastTargets.getOrDefault(profile.getKey(), 0), left);
            left -= count;
            told.add(sized(profile.getValue(), profile.getKey(), count));
        }
        return new Report.SetTarget(told);
    }

    private Report.ProfileTarget sized(int profile, Size size, int count) {
        long heap = JavaOptions.heapMib(settings.taskJavaOptions())
                .orElse((long) (size.memoryMib() * settings.taskHeapFraction()));
        heap = Math.min(heap, size.memoryMib());
        return new Report.ProfileTarget(profile, count, size.cores(), heap, size.memoryMib() - heap, 0, 0);
    }

    synchronized void kill(List<String> workers) {
        List<String> running = workers.stream().filter(worker -> !ended.contains(worker)).toList();
        running.forEach(desk::dismiss);
        if (!running.isEmpty()) {
            agent.send(new Report.KillExecutors(running));
        }
    }

    void launch(String worker, byte[] context) throws IOException {
        desk.launch(worker, context);
    }

    private boolean onJoined(Handshake.Joining joining) {
        TezApplication application;
        Size size;
        synchronized (this) {
            application = registered;
            size = profiles.entrySet().stream().filter(profile -> profile.getValue() == joining.profile())
                    .map(Map.Entry::getKey).findFirst().orElse(null);
        }
        boolean isWanted = application != null && size != null
                && application.onJoined(joining.worker(), size, joining.host(), joining.shufflePort());
        if (!isWanted) {
            LOG.info("worker {} came too late, nobody wants it any more", joining.worker());
            kill(List.of(joining.worker()));
        }
        return isWanted;
    }

    private void onOrder(Order order) {
        if (order instanceof Order.ExecutorExited exited) {
            TezApplication application;
            synchronized (this) {
                ended.add(exited.id());
                application = registered;
            }
            desk.dismiss(exited.id());
            if (application != null) {
                application.onExited(exited);
            }
        } else if (order instanceof Order.LaunchFailed failed) {
            LOG.warn("no worker can be had for now: {}", failed.reason());
        }
    }

    /** A new agent knows nothing of what the former one was told. */
    private synchronized void tellAgain() {
        if (registered != null) {
            agent.send(registration());
            agent.send(target());
        }
    }

    /** Ends what still runs. */
    @Override
    public void close() throws IOException {
        List<TezApplication> all;
        synchronized (this) {
            all = List.copyOf(applications.values());
        }
        all.forEach(TezApplication::kill);
        agent.unsubscribe();
        desk.close();
        current = null;
    }
}
