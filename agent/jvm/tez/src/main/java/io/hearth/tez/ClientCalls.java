package io.hearth.tez;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import org.apache.hadoop.yarn.api.protocolrecords.GetApplicationReportRequest;
import org.apache.hadoop.yarn.api.protocolrecords.GetApplicationReportResponse;
import org.apache.hadoop.yarn.api.protocolrecords.GetNewApplicationResponse;
import org.apache.hadoop.yarn.api.protocolrecords.KillApplicationRequest;
import org.apache.hadoop.yarn.api.protocolrecords.KillApplicationResponse;
import org.apache.hadoop.yarn.api.protocolrecords.SubmitApplicationRequest;
import org.apache.hadoop.yarn.api.protocolrecords.SubmitApplicationResponse;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.apache.hadoop.yarn.util.Records;

/**
 * What of {@code ApplicationClientProtocol} Tez and Hive call, on the cluster of this JVM.
 *
 * <p>The rest of its fifty methods end in a {@link YarnException}, which is final; an {@code IOException} would be
 * retried for minutes.
 */
final class ClientCalls implements InvocationHandler {
    private final TezCluster cluster;

    ClientCalls(TezCluster cluster) {
        this.cluster = cluster;
    }

    @Override
    public Object invoke(Object proxy, Method method, Object[] args) throws Throwable {
        return switch (method.getName()) {
            case "getNewApplication" -> GetNewApplicationResponse.newInstance(cluster.newApplication(),
                    TezCluster.SMALLEST, TezCluster.LARGEST);
            case "submitApplication" -> {
                cluster.submit(((SubmitApplicationRequest) args[0]).getApplicationSubmissionContext());
                yield Records.newRecord(SubmitApplicationResponse.class);
            }
            case "getApplicationReport" -> GetApplicationReportResponse.newInstance(
                    cluster.application(((GetApplicationReportRequest) args[0]).getApplicationId()).report());
            case "forceKillApplication" -> {
                cluster.application(((KillApplicationRequest) args[0]).getApplicationId()).kill();
                yield KillApplicationResponse.newInstance(true);
            }
            case "close" -> null;
            case "toString" -> "hearth's ApplicationClientProtocol";
            case "hashCode" -> System.identityHashCode(proxy);
            case "equals" -> proxy == args[0];
            default -> throw new YarnException("hearth has no " + method.getName());
        };
    }
}
