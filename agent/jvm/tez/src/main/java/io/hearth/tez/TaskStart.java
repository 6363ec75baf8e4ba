package io.hearth.tez;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.token.Token;
import org.apache.tez.common.TezClassLoader;
import org.apache.tez.common.security.JobTokenIdentifier;
import org.apache.tez.common.security.JobTokenSecretManager;
import org.apache.tez.common.security.TokenCache;
import org.apache.tez.runtime.task.TezChild;

/** The last steps into a task container, after which properties and environment are in place and logging may begin. */
final class TaskStart {
    private TaskStart() {}

    /** Brings the container's files, opens the shuffle to the job, and runs {@code TezChild} until it is told to go. */
    static void run(LaunchContext context, TaskCommand command, String driverHost, ShuffleServer shuffle, Path home)
            throws IOException {
        List<Path> jars = new Localizer(new Configuration()).bring(context.resources(), home);
        TezClassLoader.setupTezClassLoader();
        for (Path jar : jars) {
            TezClassLoader.getInstance().addURL(jar.toUri().toURL());
        }
        Credentials credentials = UserGroupInformation.getCurrentUser().getCredentials();
        Token<JobTokenIdentifier> token = TokenCache.getSessionToken(credentials);
        shuffle.serve(home.resolve("outputs"), JobTokenSecretManager.createSecretKey(token.getPassword()));
        List<String> args = new ArrayList<>(command.args());
        // The first argument is the master's host as its own resolver names it; other hosts know it by its address.
        args.set(0, driverHost);
        try {
            TezChild.main(args.toArray(String[]::new));
        } catch (IOException e) {
            throw e;
        } catch (Exception e) {
            throw new IOException("running the task container failed", e);
        }
    }
}
