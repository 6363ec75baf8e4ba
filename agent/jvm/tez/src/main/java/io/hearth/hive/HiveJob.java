package io.hearth.hive;

import io.hearth.launcher.Main;
import io.hearth.launcher.Outcome;
import io.hearth.tez.TezCluster;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hive.common.io.SessionStream;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.ql.IDriver;
import org.apache.hadoop.hive.ql.processors.CommandProcessor;
import org.apache.hadoop.hive.ql.processors.CommandProcessorException;
import org.apache.hadoop.hive.ql.processors.CommandProcessorFactory;
import org.apache.hadoop.hive.ql.session.SessionState;

/**
 * One Hive job: a session, the init file, the script.
 *
 * <p>Statements run one after the other until one fails. Rows go to standard output with tabs between their columns, as
 * Hive's command line prints them; what Hive has to say besides goes to standard error.
 */
final class HiveJob {
    private static final String IGNORE_ERRORS = "hive.cli.errors.ignore";

    private final Options options;
    private final String secret;
    private volatile IDriver running;

    HiveJob(Options options, String secret) {
        this.options = options;
        this.secret = secret;
    }

    Outcome run() throws Exception {
        HiveConf conf = new HiveConf(SessionState.class);
        options.settings().forEach(conf::set);
        TezCluster cluster = TezCluster.open(ClusterSettings.of(conf, secret), Main.control());
        try {
            SessionState session = new SessionState(conf);
            session.setHiveVariables(options.variables());
            session.getOverriddenConfigurations().putAll(options.settings());
            session.out = new SessionStream(System.out, true, StandardCharsets.UTF_8.name());
            session.info = new SessionStream(System.err, true, StandardCharsets.UTF_8.name());
            session.err = session.info;
            SessionState.start(session);
            try {
                Outcome outcome = Outcome.exited(0);
                if (options.initFile().isPresent()) {
                    outcome = runFile(session, options.initFile().get());
                }
                return outcome.exitCode() == 0 ? runFile(session, options.queryFile()) : outcome;
            } finally {
                session.close();
            }
        } finally {
            cluster.close();
        }
    }

    private Outcome runFile(SessionState session, String uri) throws IOException {
        Path path = new Path(uri);
        String text;
        try (InputStream in = path.getFileSystem(session.getConf()).open(path)) {
            text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
        for (String statement : Script.statements(text)) {
            try {
                execute(session, statement);
            } catch (CommandProcessorException e) {
                if (!session.getConf().getBoolean(IGNORE_ERRORS, false)) {
                    return failure(e);
                }
            }
        }
        return Outcome.exited(0);
    }

    private void execute(SessionState session, String statement) throws CommandProcessorException, IOException {
        String[] words = statement.split("\\s+");
        CommandProcessor processor;
        try {
            processor = CommandProcessorFactory.get(words, session.getConf());
        } catch (java.sql.SQLException e) {
            throw new CommandProcessorException(e.getMessage(), e);
        }
        if (processor instanceof IDriver driver) {
            query(session, driver, statement);
        } else {
            processor.run(statement.substring(words[0].length()).strip());
        }
    }

    private void query(SessionState session, IDriver driver, String statement)
            throws CommandProcessorException, IOException {
        long began = System.nanoTime();
        running = driver;
        try {
            driver.run(statement);
            long fetched = 0;
            List<String> rows = new ArrayList<>();
            while (driver.getResults(rows)) {
                for (String row : rows) {
                    session.out.println(row);
                }
                fetched += rows.size();
                rows.clear();
            }
            session.out.flush();
            session.err.printf("Time taken: %.3f seconds, Fetched: %d row(s)%n", (System.nanoTime() - began) / 1e9, fetched);
        } finally {
            running = null;
            driver.close();
            driver.destroy();
        }
    }

    /** The exit status is Hive's error code cut to a byte, as its command line's would be, and never 0. */
    private static Outcome failure(CommandProcessorException error) {
        Throwable cause = error.getCause() == null ? error : error.getCause();
        int status = error.getResponseCode() & 0xff;
        return new Outcome(status == 0 ? 1 : status, cause.getClass().getName(), error.getMessage());
    }

    /** Ends the query that runs; the session's end follows. */
    void cancel() {
        IDriver driver = running;
        if (driver != null) {
            driver.close();
        }
    }
}
