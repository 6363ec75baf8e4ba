package io.hearth.tez;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.DataInputStream;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32;
import javax.crypto.SecretKey;
import org.apache.hadoop.io.WritableUtils;
import org.apache.tez.common.security.JobTokenSecretManager;
import org.apache.tez.runtime.library.common.security.SecureShuffleUtils;
import org.apache.tez.runtime.library.common.shuffle.orderedgrouped.ShuffleHeader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ShuffleServerTest {
    private static final SecretKey KEY = JobTokenSecretManager.createSecretKey(new byte[] {1});

    @TempDir
    private Path outputs;

    private ShuffleServer server;

    @BeforeEach
    void serve() throws IOException {
        server = ShuffleServer.open("127.0.0.1");
        server.serve(outputs, KEY);
        Path attempt = outputs.resolve("dag_1/output/attempt_a");
        Files.createDirectories(attempt);
        Files.write(attempt.resolve("file.out"), "aabbbcc".getBytes(StandardCharsets.UTF_8));
        ByteBuffer index = ByteBuffer.allocate(4 * 24 + 8);
        for (long number : new long[] {0, 12, 2, 2, 13, 3, 0, 0, 0, 5, 12, 2}) {
            index.putLong(number);
        }
        CRC32 checksum = new CRC32();
        checksum.update(index.array(), 0, 4 * 24);
        Files.write(attempt.resolve("file.out.index"), index.putLong(checksum.getValue()).array());
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private HttpURLConnection ask(String query, SecretKey key) throws IOException {
        URL url = URI.create("http://127.0.0.1:" + server.port() + "/mapOutput?" + query).toURL();
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        connection.setReadTimeout(20_000);
        connection.setRequestProperty(SecureShuffleUtils.HTTP_HEADER_URL_HASH, SecureShuffleUtils.generateHash(
                SecureShuffleUtils.buildMsgFrom(url).getBytes(StandardCharsets.UTF_8), key));
        return connection;
    }

    private static void expect(DataInputStream in, int partition, long compressed, long raw) throws IOException {
        ShuffleHeader header = new ShuffleHeader();
        header.readFields(in);
        assertEquals("attempt_a", header.getMapId());
        assertEquals(partition, header.getPartition());
        assertEquals(compressed, header.getCompressedLength());
        assertEquals(raw, header.getUncompressedLength());
    }

    @Test
    void aRangeOfPartitionsIsSentAsHeadersAndOneRunOfBytes() throws IOException {
        try (DataInputStream in = new DataInputStream(
                ask("job=job_1_0001&dag=1&reduce=1-3&map=attempt_a", KEY).getInputStream())) {
            assertEquals(3, WritableUtils.readVInt(in));
            expect(in, 1, 3, 13);
            expect(in, 2, 0, 0);
            expect(in, 3, 2, 12);
            assertArrayEquals("bbbcc".getBytes(StandardCharsets.UTF_8), in.readAllBytes());
        }
    }

    @Test
    void theAnswerProvesThatTheServerKnowsTheToken() throws IOException {
        HttpURLConnection connection = ask("job=job_1_0001&dag=1&reduce=0&map=attempt_a", KEY);
        String hash = connection.getRequestProperty(SecureShuffleUtils.HTTP_HEADER_URL_HASH);
        assertEquals(SecureShuffleUtils.generateHash(hash.getBytes(StandardCharsets.UTF_8), KEY),
                connection.getHeaderField(SecureShuffleUtils.HTTP_HEADER_REPLY_URL_HASH));
        connection.disconnect();
    }

    @Test
    void anotherJobsTokenOpensNothing() throws IOException {
        SecretKey another = JobTokenSecretManager.createSecretKey(new byte[] {2});
        assertEquals(401, ask("job=job_1_0001&dag=1&reduce=0&map=attempt_a", another).getResponseCode());
    }

    @Test
    void aPathOutOfTheOutputsIsRefused() throws IOException {
        Path secret = Files.createDirectories(outputs.resolve("secret"));
        for (String file : new String[] {"file.out", "file.out.index"}) {
            Files.copy(outputs.resolve("dag_1/output/attempt_a").resolve(file), secret.resolve(file));
        }
        assertEquals(404, ask("job=job_1_0001&dag=1&reduce=0&map=../../secret", KEY).getResponseCode());
    }

    @Test
    void whatADagLeftIsDeletedWhenItsMasterSaysSo() throws IOException {
        assertEquals(200, ask("dagAction=delete&job=job_1_0001&dag=1", KEY).getResponseCode());
        assertFalse(Files.exists(outputs.resolve("dag_1")));
    }
}
