package org.apache.spark.hearth;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.SparkHadoopUtil;
import org.apache.spark.deploy.SparkSubmit;
import org.apache.spark.deploy.SparkSubmitArguments;
import scala.Function0;
import scala.Option;

/**
 * Spark's own submission, with two additions: the job's files and archives are put into the driver's working directory
 * before its main starts, and the last error message is remembered.
 */
final class Submission extends SparkSubmit {
    private final List<String> unpack;
    private volatile String lastError;

    /** {@code unpack} names archives and files for the working directory beyond those of the arguments. */
    Submission(List<String> unpack) {
        this.unpack = unpack;
    }

    /** The last error that SparkSubmit itself printed, or null. */
    String lastError() {
        return lastError;
    }

    @Override
    public SparkSubmitArguments parseArguments(String[] args) {
        SparkSubmitArguments arguments = super.parseArguments(args);
        if (arguments.files() != null || arguments.archives() != null || !unpack.isEmpty()) {
            SparkConf conf = arguments.toSparkConf(Option.empty());
            Configuration hadoop = SparkHadoopUtil.get().newConfiguration(conf);
            try {
                WorkingDirectory directory = new WorkingDirectory(conf, hadoop);
                directory.placeFiles(arguments.files());
                directory.unpackArchives(arguments.archives());
                directory.placeOrUnpack(unpack);
            } catch (IOException e) {
                throw new UncheckedIOException(e); // The overridden method declares none.
            }
        }
        return arguments;
    }

    @Override
    public void logInfo(Function0<String> message) {
        System.err.println(message.apply());
    }

    @Override
    public void logWarning(Function0<String> message) {
        System.err.println("Warning: " + message.apply());
    }

    @Override
    public void logError(Function0<String> message) {
        lastError = message.apply();
        System.err.println("Error: " + lastError);
    }
}
