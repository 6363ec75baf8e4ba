package io.hearth.tez;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * How driver and task worker convince each other that they belong to the same job: each proves that it knows the job's
 * secret by a code over what the other has just made up. The secret itself is never sent.
 */
final class Handshake {
    private static final String ALGORITHM = "HmacSHA256";
    private static final int NONCE_BYTES = 32;
    private static final int CODE_BYTES = 32;
    private static final SecureRandom RANDOM = new SecureRandom();

    /** Who a task worker is: its id, the profile it was started for, and where its output is fetched. */
    record Joining(String worker, int profile, String host, int shufflePort) {
        private String text() {
            return worker + '\n' + profile + '\n' + host + '\n' + shufflePort;
        }
    }

    private Handshake() {}

    /** The worker's side. Fails if the other side does not know the secret. */
    static void join(DataInputStream in, DataOutputStream out, String secret, Joining joining) throws IOException {
        byte[] theirs = new byte[NONCE_BYTES];
        in.readFully(theirs);
        byte[] ours = nonce();
        out.write(ours);
        out.writeUTF(joining.worker());
        out.writeInt(joining.profile());
        out.writeUTF(joining.host());
        out.writeInt(joining.shufflePort());
        out.write(code(secret, "worker", theirs, joining.text()));
        out.flush();
        expect(in, code(secret, "driver", ours, joining.worker()), "the driver does not know the job's secret");
    }

    /** The driver's side. Fails if the other side does not know the secret. */
    static Joining admit(DataInputStream in, DataOutputStream out, String secret) throws IOException {
        byte[] ours = nonce();
        out.write(ours);
        out.flush();
        byte[] theirs = new byte[NONCE_BYTES];
        in.readFully(theirs);
        Joining joining = new Joining(in.readUTF(), in.readInt(), in.readUTF(), in.readInt());
        expect(in, code(secret, "worker", ours, joining.text()), "a caller does not know the job's secret");
        out.write(code(secret, "driver", theirs, joining.worker()));
        out.flush();
        return joining;
    }

    private static byte[] nonce() {
        byte[] nonce = new byte[NONCE_BYTES];
        RANDOM.nextBytes(nonce);
        return nonce;
    }

    private static byte[] code(String secret, String role, byte[] nonce, String text) {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), ALGORITHM));
            mac.update(role.getBytes(StandardCharsets.UTF_8));
            mac.update(nonce);
            return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every JDK has " + ALGORITHM, e);
        }
    }

    private static void expect(DataInputStream in, byte[] code, String otherwise) throws IOException {
        byte[] told = new byte[CODE_BYTES];
        in.readFully(told);
        if (!MessageDigest.isEqual(told, code)) {
            throw new IOException(otherwise);
        }
    }
}
