package org.apache.spark.hearth;

import com.amazonaws.AmazonServiceException;
import com.amazonaws.SdkClientException;
import com.amazonaws.auth.AWSCredentials;
import com.amazonaws.auth.AWSCredentialsProvider;
import com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper;
import java.time.Duration;

/**
 * The job's credentials, as this host's agent serves them, also while the agent is being started again.
 *
 * <p>The SDK's own provider gives up within milliseconds when nobody listens, and the file system passes that on as a
 * refusal, which nobody repeats: an agent's upgrade would fail every job that begins, or renews its credentials, in that
 * second. What the agent itself refuses is passed on at once.
 */
public final class PatientCredentials implements AWSCredentialsProvider {
    /** As long as clients of the object store repeat their requests. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static final Duration PAUSE = Duration.ofMillis(200);

    private final AWSCredentialsProvider agent;
    private final Duration patience;

    /** Called by the file system, by name. */
    public PatientCredentials() {
        this(new EC2ContainerCredentialsProviderWrapper(), PATIENCE);
    }

    PatientCredentials(AWSCredentialsProvider agent, Duration patience) {
        this.agent = agent;
        this.patience = patience;
    }

    @Override
    public AWSCredentials getCredentials() {
        long end = System.nanoTime() + patience.toNanos();
        while (true) {
            try {
                return agent.getCredentials();
            } catch (AmazonServiceException refused) {
                throw refused;
            } catch (SdkClientException unreachable) {
                if (System.nanoTime() >= end || !paused()) {
                    throw unreachable;
                }
            }
        }
    }

    @Override
    public void refresh() {
        agent.refresh();
    }

    /** Whether the pause was had: a thread that is interrupted is to end. */
    private static boolean paused() {
        try {
            Thread.sleep(PAUSE.toMillis());
            return true;
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
