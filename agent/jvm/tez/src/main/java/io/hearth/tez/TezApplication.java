package io.hearth.tez;

import io.hearth.launcher.Order;
import io.hearth.tez.TezCluster.Size;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.yarn.api.protocolrecords.AllocateRequest;
import org.apache.hadoop.yarn.api.protocolrecords.AllocateResponse;
import org.apache.hadoop.yarn.api.protocolrecords.FinishApplicationMasterRequest;
import org.apache.hadoop.yarn.api.protocolrecords.FinishApplicationMasterResponse;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterRequest;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterResponse;
import org.apache.hadoop.yarn.api.protocolrecords.StartContainerRequest;
import org.apache.hadoop.yarn.api.protocolrecords.StartContainersRequest;
import org.apache.hadoop.yarn.api.protocolrecords.StartContainersResponse;
import org.apache.hadoop.yarn.api.protocolrecords.StopContainersRequest;
import org.apache.hadoop.yarn.api.protocolrecords.StopContainersResponse;
import org.apache.hadoop.yarn.api.records.ApplicationAttemptId;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.api.records.ApplicationReport;
import org.apache.hadoop.yarn.api.records.ApplicationSubmissionContext;
import org.apache.hadoop.yarn.api.records.Container;
import org.apache.hadoop.yarn.api.records.ContainerExitStatus;
import org.apache.hadoop.yarn.api.records.ContainerId;
import org.apache.hadoop.yarn.api.records.ContainerState;
import org.apache.hadoop.yarn.api.records.ContainerStatus;
import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.api.records.NMToken;
import org.apache.hadoop.yarn.api.records.NodeId;
import org.apache.hadoop.yarn.api.records.Priority;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.api.records.ResourceRequest;
import org.apache.hadoop.yarn.api.records.SerializedException;
import org.apache.hadoop.yarn.api.records.Token;
import org.apache.hadoop.yarn.api.records.YarnApplicationState;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One Tez application: its master's process, what it asked for, and what the client is told of it. */
final class TezApplication {
    private static final Logger LOG = LoggerFactory.getLogger(TezApplication.class);

    /** The master is YARN's first container; the worker with id n is container n + 1. */
    private static final int MASTER = 1;

    private final TezCluster cluster;
    private final ApplicationSubmissionContext context;
    private final ApplicationAttemptId attempt;
    private final long started = System.currentTimeMillis();

    // All below is guarded by this object.
    private final Allocation allocation = new Allocation();
    private MasterDesk desk;
    private MasterProcess master;
    private YarnApplicationState state = YarnApplicationState.ACCEPTED;
    private FinalApplicationStatus outcome = FinalApplicationStatus.UNDEFINED;
    private String diagnostics = "";
    private int masterPort = -1;
    private String trackingUrl = "";
    private int responses;
    private long finished;

    TezApplication(TezCluster cluster, ApplicationSubmissionContext context) {
        this.cluster = cluster;
        this.context = context;
        this.attempt = ApplicationAttemptId.newInstance(context.getApplicationId(), 1);
    }

    ApplicationId id() {
        return context.getApplicationId();
    }

    /** Starts the master in this worker. */
    synchronized void start() throws YarnException, IOException {
        Path socket = Path.of("tez-" + id().getId() + ".sock");
        desk = MasterDesk.open(socket, this::answer);
        try {
            master = MasterProcess.start(new LaunchContext(context.getAMContainerSpec()),
                    ContainerId.newContainerId(attempt, MASTER), socket, cluster.settings(), new Configuration());
        } catch (IOException e) {
            desk.close();
            throw new YarnException("starting the application master failed", e);
        }
        master.process().onExit().thenAccept(this::onMasterExited);
    }

    private Object answer(MasterCall call, Object request) throws YarnException {
        return switch (call) {
            case REGISTER -> register((RegisterApplicationMasterRequest) request);
            case ALLOCATE -> allocate((AllocateRequest) request);
            case FINISH -> finish((FinishApplicationMasterRequest) request);
            case START -> start((StartContainersRequest) request);
            case STOP -> stop((StopContainersRequest) request);
        };
    }

    private RegisterApplicationMasterResponse register(RegisterApplicationMasterRequest request) {
        synchronized (this) {
            // The host it names is what its own resolver makes of this machine; the worker's address is known better.
            masterPort = request.getRpcPort();
            trackingUrl = request.getTrackingUrl();
            state = YarnApplicationState.RUNNING;
        }
        cluster.register(this);
        return RegisterApplicationMasterResponse.newInstance(TezCluster.SMALLEST, TezCluster.LARGEST, new HashMap<>(),
                ByteBuffer.allocate(0), new ArrayList<>(), "default", new ArrayList<>());
    }

    private AllocateResponse allocate(AllocateRequest request) {
        Map<Size, Integer> targets;
        List<String> released = new ArrayList<>();
        AllocateResponse response;
        synchronized (this) {
            request.getAskList().stream().filter(ask -> ResourceRequest.isAnyLocation(ask.getResourceName()))
                    .forEach(this::ask);
            for (ContainerId container : request.getReleaseList()) {
                if (allocation.end(worker(container), ContainerExitStatus.ABORTED, "released")) {
                    released.add(worker(container));
                }
            }
            targets = allocation.targets();
            response = response();
        }
        cluster.want(this, targets);
        cluster.kill(released);
        return response;
    }

    private void ask(ResourceRequest request) {
        Resource capability = request.getCapability();
        Size size = new Size(capability.getMemorySize(), capability.getVirtualCores());
        allocation.ask(new Allocation.Ask(request.getPriority().getPriority(), request.getAllocationRequestId(), size),
                request.getNumContainers());
    }

    private AllocateResponse response() {
        List<Container> containers = new ArrayList<>();
        Map<NodeId, NMToken> tokens = new LinkedHashMap<>();
        for (Allocation.Grant grant : allocation.takeGrants()) {
            ContainerId id = container(grant.worker());
            // A worker serves its own output, so for Tez each is a node of its own.
            NodeId node = NodeId.newInstance(grant.host(), grant.shufflePort());
            Container container = Container.newInstance(id, node, grant.host() + ":" + grant.shufflePort(),
                    Resource.newInstance(grant.ask().size().memoryMib(), grant.ask().size().cores()),
                    Priority.newInstance(grant.ask().priority()), token("ContainerToken", id.toString(), node));
            container.setAllocationRequestId(grant.ask().requestId());
            containers.add(container);
            tokens.put(node, NMToken.newInstance(node, token("NMToken", grant.worker(), node)));
        }
        List<ContainerStatus> completed = new ArrayList<>();
        for (Allocation.End end : allocation.takeEnds()) {
            completed.add(ContainerStatus.newInstance(container(end.worker()), ContainerState.COMPLETE,
                    end.diagnostics(), end.exitStatus()));
        }
        AllocateResponse response = AllocateResponse.newInstance(++responses, completed, containers, new ArrayList<>(),
                headroom(), null, cluster.settings().mostWorkers(), null, new ArrayList<>(tokens.values()));
        response.setUpdatedNodes(new ArrayList<>());
        return response;
    }

    /** What the job may have beyond what it has. Tez plans its parallelism by the first answer, so it is not what is free. */
    private Resource headroom() {
        Size inUse = allocation.inUse();
        long most = cluster.settings().mostWorkers();
        Size task = cluster.settings().taskSize();
        return Resource.newInstance(Math.max(0, most * task.memoryMib() - inUse.memoryMib()),
                (int) Math.max(0, Math.min(Integer.MAX_VALUE, most * task.cores()) - inUse.cores()));
    }

    private FinishApplicationMasterResponse finish(FinishApplicationMasterRequest request) {
        synchronized (this) {
            end(YarnApplicationState.FINISHED, request.getFinalApplicationStatus(), request.getDiagnostics());
        }
        cluster.unregister(this);
        return FinishApplicationMasterResponse.newInstance(true);
    }

    private StartContainersResponse start(StartContainersRequest request) {
        List<ContainerId> launched = new ArrayList<>();
        Map<ContainerId, SerializedException> failed = new HashMap<>();
        Map<String, ByteBuffer> services = new HashMap<>();
        for (StartContainerRequest one : request.getStartContainerRequests()) {
            ContainerId id = ContainerId.fromString(
                    StandardCharsets.UTF_8.decode(one.getContainerToken().getIdentifier().duplicate()).toString());
            try {
                cluster.launch(worker(id), LaunchContext.write(one.getContainerLaunchContext()));
                launched.add(id);
                NodeId node = NodeId.fromString(one.getContainerToken().getService());
                services.put(ShuffleServer.SERVICE, ShuffleServer.portAsServiceData(node.getPort()));
            } catch (IOException e) {
                failed.put(id, SerializedException.newInstance(e));
            }
        }
        return StartContainersResponse.newInstance(services, launched, failed);
    }

    private StopContainersResponse stop(StopContainersRequest request) {
        cluster.kill(request.getContainerIds().stream().map(TezApplication::worker).toList());
        return StopContainersResponse.newInstance(request.getContainerIds(), new HashMap<>());
    }

    /** A worker is ready. Returns whether it is wanted. */
    synchronized boolean onJoined(String worker, Size size, String host, int shufflePort) {
        return allocation.join(worker, size, host, shufflePort);
    }

    /** What no fault of the job's ended counts as preempted, which Tez charges to no task. */
    void onExited(Order.ExecutorExited exited) {
        Map<Size, Integer> targets;
        synchronized (this) {
            int status = exited.causedByApp() ? exited.exitCode() : ContainerExitStatus.PREEMPTED;
            if (!allocation.end(exited.id(), status, exited.reason())) {
                return;
            }
            targets = allocation.targets();
        }
        cluster.want(this, targets);
    }

    private void onMasterExited(Process process) {
        boolean isUnexpected;
        synchronized (this) {
            isUnexpected = finished == 0;
            if (isUnexpected) {
                String words = master.shellOutput();
                end(YarnApplicationState.FAILED, FinalApplicationStatus.FAILED,
                        "the Tez application master exited with status " + process.exitValue()
                                + (words.isEmpty() ? "" : ": " + words));
                LOG.error("application {} failed: {}", id(), diagnostics);
            }
        }
        cluster.unregister(this);
        try {
            desk.close();
        } catch (IOException e) {
            LOG.debug("closing the line to a dead application master failed", e);
        }
    }

    void kill() {
        MasterProcess running;
        synchronized (this) {
            running = master;
            if (finished == 0) {
                end(YarnApplicationState.KILLED, FinalApplicationStatus.KILLED, "killed by the client");
            }
        }
        cluster.unregister(this);
        if (running != null) {
            running.kill();
        }
    }

    private void end(YarnApplicationState state, FinalApplicationStatus outcome, String diagnostics) {
        this.state = state;
        this.outcome = outcome;
        this.diagnostics = diagnostics;
        this.finished = System.currentTimeMillis();
    }

    synchronized ApplicationReport report() {
        return ApplicationReport.newInstance(id(), attempt, System.getProperty("user.name"), "default",
                context.getApplicationName(), cluster.settings().host(), masterPort, null, state, diagnostics, trackingUrl,
                started, started, finished, outcome, null, trackingUrl, finished == 0 ? 0 : 1, context.getApplicationType(), null);
    }

    private ContainerId container(String worker) {
        return ContainerId.newContainerId(attempt, Long.parseLong(worker) + MASTER);
    }

    private static String worker(ContainerId container) {
        return Long.toString(container.getContainerId() - MASTER);
    }

    /** The master's calls come over a line of this job's own, so tokens need prove nothing. */
    private static Token token(String kind, String identifier, NodeId node) {
        return Token.newInstance(identifier.getBytes(StandardCharsets.UTF_8), kind, new byte[0], node.toString());
    }
}
