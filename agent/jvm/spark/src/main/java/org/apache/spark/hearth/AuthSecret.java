package org.apache.spark.hearth;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.spark.SecurityManager;

/**
 * Gives Spark the secret that driver and executors authenticate each other with, without putting it anywhere that can be
 * read from outside the process.
 *
 * <p>Spark looks for the secret among the Hadoop login's credentials first (as YARN provides it), then in an environment
 * variable, which child processes would inherit, then in its configuration, which the driver sends to executors, the UI
 * and the event log. For a foreign master it insists that the configuration has a value, so it gets one that says
 * nothing. Code that changes to another Hadoop user on the driver does not see the secret and is refused.
 */
final class AuthSecret {
    /** Stands in the configuration where Spark demands a secret. */
    static final String PLACEHOLDER = "held-in-process";

    private AuthSecret() {}

    /** Installs the secret; a null means that the job runs without authentication. */
    static void install(String secret) {
        if (secret == null) {
            return;
        }
        try {
            Credentials credentials = new Credentials();
            credentials.addSecretKey(SecurityManager.SECRET_LOOKUP_KEY(), secret.getBytes(StandardCharsets.UTF_8));
            UserGroupInformation.getCurrentUser().addCredentials(credentials);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        System.setProperty(SecurityManager.SPARK_AUTH_SECRET_CONF(), PLACEHOLDER);
    }
}
