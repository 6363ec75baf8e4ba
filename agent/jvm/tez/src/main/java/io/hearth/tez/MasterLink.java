package io.hearth.tez;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import org.apache.hadoop.yarn.api.ApplicationMasterProtocol;
import org.apache.hadoop.yarn.api.ContainerManagementProtocol;
import org.apache.hadoop.yarn.api.protocolrecords.AllocateRequest;
import org.apache.hadoop.yarn.api.protocolrecords.AllocateResponse;
import org.apache.hadoop.yarn.api.protocolrecords.CommitResponse;
import org.apache.hadoop.yarn.api.protocolrecords.ContainerUpdateRequest;
import org.apache.hadoop.yarn.api.protocolrecords.ContainerUpdateResponse;
import org.apache.hadoop.yarn.api.protocolrecords.FinishApplicationMasterRequest;
import org.apache.hadoop.yarn.api.protocolrecords.FinishApplicationMasterResponse;
import org.apache.hadoop.yarn.api.protocolrecords.GetContainerStatusesRequest;
import org.apache.hadoop.yarn.api.protocolrecords.GetContainerStatusesResponse;
import org.apache.hadoop.yarn.api.protocolrecords.GetLocalizationStatusesRequest;
import org.apache.hadoop.yarn.api.protocolrecords.GetLocalizationStatusesResponse;
import org.apache.hadoop.yarn.api.protocolrecords.IncreaseContainersResourceRequest;
import org.apache.hadoop.yarn.api.protocolrecords.IncreaseContainersResourceResponse;
import org.apache.hadoop.yarn.api.protocolrecords.ReInitializeContainerRequest;
import org.apache.hadoop.yarn.api.protocolrecords.ReInitializeContainerResponse;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterRequest;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterResponse;
import org.apache.hadoop.yarn.api.protocolrecords.ResourceLocalizationRequest;
import org.apache.hadoop.yarn.api.protocolrecords.ResourceLocalizationResponse;
import org.apache.hadoop.yarn.api.protocolrecords.RestartContainerResponse;
import org.apache.hadoop.yarn.api.protocolrecords.RollbackResponse;
import org.apache.hadoop.yarn.api.protocolrecords.SignalContainerRequest;
import org.apache.hadoop.yarn.api.protocolrecords.SignalContainerResponse;
import org.apache.hadoop.yarn.api.protocolrecords.StartContainersRequest;
import org.apache.hadoop.yarn.api.protocolrecords.StartContainersResponse;
import org.apache.hadoop.yarn.api.protocolrecords.StopContainersRequest;
import org.apache.hadoop.yarn.api.protocolrecords.StopContainersResponse;
import org.apache.hadoop.yarn.api.records.ContainerId;
import org.apache.hadoop.yarn.exceptions.YarnException;

/**
 * The application master's end of the line to its driver: one connection to the {@link MasterDesk}, one call at a time.
 *
 * <p>The line is a Unix socket that belongs to the worker's user, so whoever speaks there is of the same job. A broken one
 * means that the driver is gone, and with it the worker in which this process runs.
 */
final class MasterLink implements ApplicationMasterProtocol, ContainerManagementProtocol, Closeable {
    /** Names the socket to the application master's process. */
    static final String SOCKET = "HEARTH_TEZ_SOCKET";

    private final SocketChannel channel;
    private final DataInputStream in;
    private final DataOutputStream out;

    private MasterLink(SocketChannel channel) {
        this.channel = channel;
        this.in = new DataInputStream(Channels.newInputStream(channel));
        this.out = new DataOutputStream(Channels.newOutputStream(channel));
    }

    /** Connects to the driver that started this process. */
    static MasterLink open() {
        String socket = System.getenv(SOCKET);
        if (socket == null) {
            throw new IllegalStateException("this process was not started by hearth's Tez driver: no " + SOCKET);
        }
        try {
            return new MasterLink(SocketChannel.open(UnixDomainSocketAddress.of(Path.of(socket))));
        } catch (IOException e) {
            throw new UncheckedIOException("connecting to the driver", e);
        }
    }

    @Override
    public RegisterApplicationMasterResponse registerApplicationMaster(RegisterApplicationMasterRequest request)
            throws YarnException, IOException {
        return (RegisterApplicationMasterResponse) call(MasterCall.REGISTER, request);
    }

    @Override
    public AllocateResponse allocate(AllocateRequest request) throws YarnException, IOException {
        return (AllocateResponse) call(MasterCall.ALLOCATE, request);
    }

    @Override
    public FinishApplicationMasterResponse finishApplicationMaster(FinishApplicationMasterRequest request)
            throws YarnException, IOException {
        return (FinishApplicationMasterResponse) call(MasterCall.FINISH, request);
    }

    @Override
    public StartContainersResponse startContainers(StartContainersRequest request) throws YarnException, IOException {
        return (StartContainersResponse) call(MasterCall.START, request);
    }

    @Override
    public StopContainersResponse stopContainers(StopContainersRequest request) throws YarnException, IOException {
        return (StopContainersResponse) call(MasterCall.STOP, request);
    }

    private synchronized Object call(MasterCall call, Object request) throws YarnException, IOException {
        byte[] bytes = call.writeRequest(request);
        out.writeByte(call.ordinal());
        out.writeInt(bytes.length);
        out.write(bytes);
        out.flush();
        boolean isAnswer = in.readBoolean();
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        if (!isAnswer) {
            throw new YarnException(new String(answer, java.nio.charset.StandardCharsets.UTF_8));
        }
        return call.readResponse(answer);
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            // It is given up anyway.
        }
    }

    private static YarnException absent(String method) {
        return new YarnException("hearth has no " + method);
    }

    // Tez calls none of what follows.

    @Override
    public GetContainerStatusesResponse getContainerStatuses(GetContainerStatusesRequest request) throws YarnException {
        throw absent("getContainerStatuses");
    }

    @Override
    @Deprecated
    public IncreaseContainersResourceResponse increaseContainersResource(IncreaseContainersResourceRequest request)
            throws YarnException {
        throw absent("increaseContainersResource");
    }

    @Override
    public ContainerUpdateResponse updateContainer(ContainerUpdateRequest request) throws YarnException {
        throw absent("updateContainer");
    }

    @Override
    public SignalContainerResponse signalToContainer(SignalContainerRequest request) throws YarnException {
        throw absent("signalToContainer");
    }

    @Override
    public ResourceLocalizationResponse localize(ResourceLocalizationRequest request) throws YarnException {
        throw absent("localize");
    }

    @Override
    public ReInitializeContainerResponse reInitializeContainer(ReInitializeContainerRequest request)
            throws YarnException {
        throw absent("reInitializeContainer");
    }

    @Override
    public RestartContainerResponse restartContainer(ContainerId containerId) throws YarnException {
        throw absent("restartContainer");
    }

    @Override
    public RollbackResponse rollbackLastReInitialization(ContainerId containerId) throws YarnException {
        throw absent("rollbackLastReInitialization");
    }

    @Override
    public CommitResponse commitLastReInitialization(ContainerId containerId) throws YarnException {
        throw absent("commitLastReInitialization");
    }

    @Override
    public GetLocalizationStatusesResponse getLocalizationStatuses(GetLocalizationStatusesRequest request)
            throws YarnException {
        throw absent("getLocalizationStatuses");
    }
}
