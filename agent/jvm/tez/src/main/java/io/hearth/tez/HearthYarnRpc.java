package io.hearth.tez;

import java.io.Closeable;
import java.lang.reflect.Proxy;
import java.net.InetSocketAddress;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.yarn.api.ApplicationClientProtocol;
import org.apache.hadoop.yarn.api.ApplicationMasterProtocol;
import org.apache.hadoop.yarn.api.ContainerManagementProtocol;
import org.apache.hadoop.yarn.ipc.HadoopYarnProtoRPC;

/**
 * The seam between Tez and hearth, named by {@code yarn.ipc.rpc.class}: whoever asks Hadoop for a YARN is answered here.
 *
 * <p>In the driver's JVM the client's protocol is served by the {@link TezCluster} of that JVM. In the application
 * master's process, a child of the driver's, the other two go to the driver over its {@link MasterDesk}. The addresses
 * that Hadoop passes mean nothing. All other protocols are Hadoop's own.
 */
public final class HearthYarnRpc extends HadoopYarnProtoRPC {
    @Override
    @SuppressWarnings("rawtypes")
    public Object getProxy(Class protocol, InetSocketAddress address, Configuration conf) {
        if (protocol == ApplicationClientProtocol.class) {
            // Hadoop's clients close their proxies, and refuse what is not closeable.
            return Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {protocol, Closeable.class},
                    new ClientCalls(TezCluster.current()));
        }
        if (protocol == ApplicationMasterProtocol.class || protocol == ContainerManagementProtocol.class) {
            return MasterLink.open();
        }
        return super.getProxy(protocol, address, conf);
    }

    @Override
    public void stopProxy(Object proxy, Configuration conf) {
        if (proxy instanceof MasterLink link) {
            link.close();
        } else if (!(Proxy.isProxyClass(proxy.getClass())
                && Proxy.getInvocationHandler(proxy) instanceof ClientCalls)) {
            super.stopProxy(proxy, conf);
        }
    }
}
