package io.hearth.tez;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.yarn.api.ApplicationConstants;
import org.apache.hadoop.yarn.api.records.ContainerLaunchContext;
import org.apache.hadoop.yarn.api.records.LocalResource;
import org.apache.hadoop.yarn.api.records.impl.pb.ContainerLaunchContextPBImpl;
import org.apache.hadoop.yarn.proto.YarnProtos.ContainerLaunchContextProto;

/** What YARN is told to start, read the way a node manager reads it. */
final class LaunchContext {
    private final ContainerLaunchContext context;

    LaunchContext(ContainerLaunchContext context) {
        this.context = context;
    }

    static LaunchContext parse(byte[] bytes) throws IOException {
        return new LaunchContext(new ContainerLaunchContextPBImpl(ContainerLaunchContextProto.parseFrom(bytes)));
    }

    static byte[] write(ContainerLaunchContext context) {
        return ((ContainerLaunchContextPBImpl) context).getProto().toByteArray();
    }

    Map<String, LocalResource> resources() {
        return new TreeMap<>(context.getLocalResources());
    }

    /** Variables as they were given; values may refer to others. */
    Map<String, String> environment() {
        return new TreeMap<>(context.getEnvironment());
    }

    /** The command line for a shell, in which {@code logs} is filled in. */
    String command(Path logs) {
        List<String> commands = context.getCommands();
        return expand(String.join(" ", commands)).replace(ApplicationConstants.LOG_DIR_EXPANSION_VAR, logs.toString());
    }

    /** Puts the tokens where {@code HADOOP_TOKEN_FILE_LOCATION} will name them, for this user alone. */
    void writeTokens(Path file) throws IOException {
        ByteBuffer tokens = context.getTokens() == null ? ByteBuffer.allocate(0) : context.getTokens().duplicate();
        byte[] bytes = new byte[tokens.remaining()];
        tokens.get(bytes);
        Files.deleteIfExists(file);
        Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.write(file, bytes, StandardOpenOption.WRITE);
    }

    /** Turns YARN's marks that are the same on every platform into those of a Unix shell. */
    static String expand(String text) {
        return text.replace(ApplicationConstants.CLASS_PATH_SEPARATOR, ":")
                .replaceAll("\\{\\{(\\w+)\\}\\}", "\\${$1}");
    }
}
