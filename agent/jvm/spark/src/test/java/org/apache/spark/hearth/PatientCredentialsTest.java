package org.apache.spark.hearth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.amazonaws.AmazonServiceException;
import com.amazonaws.SdkClientException;
import com.amazonaws.auth.AWSCredentials;
import com.amazonaws.auth.AWSCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.Test;

class PatientCredentialsTest {
    private static final AWSCredentials GIVEN = new BasicAWSCredentials("id", "secret");

    /** Answers as told, in this order; the last answer stays. */
    private static final class Agent implements AWSCredentialsProvider {
        private final Deque<Object> answers;
        private int asked;

        Agent(Object... answers) {
            this.answers = new ArrayDeque<>(List.of(answers));
        }

        @Override
        public AWSCredentials getCredentials() {
            asked++;
            Object answer = answers.size() > 1 ? answers.remove() : answers.element();
            if (answer instanceof RuntimeException refusal) {
                throw refusal;
            }
            return (AWSCredentials) answer;
        }

        @Override
        public void refresh() {}
    }

    private static SdkClientException unreachable() {
        return new SdkClientException("Failed to connect to service endpoint: ");
    }

    @Test
    void anAgentThatIsAwayForAMomentIsWaitedFor() {
        Agent agent = new Agent(unreachable(), unreachable(), GIVEN);
        assertSame(GIVEN, new PatientCredentials(agent, Duration.ofMinutes(1)).getCredentials());
        assertEquals(3, agent.asked);
    }

    @Test
    void aRefusalOfTheAgentsIsPassedOnAtOnce() {
        Agent agent = new Agent(new AmazonServiceException("superseded"), GIVEN);
        PatientCredentials credentials = new PatientCredentials(agent, Duration.ofMinutes(1));
        assertThrows(AmazonServiceException.class, credentials::getCredentials);
        assertEquals(1, agent.asked);
    }

    @Test
    void anAgentThatStaysAwayIsSaidToBe() {
        PatientCredentials credentials = new PatientCredentials(new Agent(unreachable()), Duration.ZERO);
        SdkClientException said = assertThrows(SdkClientException.class, credentials::getCredentials);
        assertTrue(said.getMessage().startsWith("Failed to connect"), said.getMessage());
    }
}
