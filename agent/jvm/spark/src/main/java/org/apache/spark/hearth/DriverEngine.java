package org.apache.spark.hearth;

import io.hearth.launcher.Engine;
import io.hearth.launcher.Order;
import io.hearth.launcher.Outcome;
import java.io.UncheckedIOException;
import java.util.Optional;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkContext$;
import org.apache.spark.SparkException;
import org.apache.spark.SparkUserAppException;
import scala.Option;

/** Turns this JVM into a Spark driver by calling stock SparkSubmit in-process. */
public final class DriverEngine implements Engine {
    /** SparkSubmit's exit status when it cannot load the main class. */
    private static final int CLASS_NOT_FOUND = 101;

    @Override
    public String kind() {
        return "spark-driver";
    }

    @Override
    public Outcome run(Order.Run order) {
        OutputTail output = OutputTail.install();
        Submission submission = new Submission(order.unpack());
        Outcome outcome;
        try {
            AuthSecret.install(order.secret());
            submission.doSubmit(order.args().toArray(String[]::new));
            outcome = Outcome.exited(0);
        } catch (Throwable error) {
            outcome = explain(error, submission, output);
        }
        stopContext(outcome.exitCode());
        return outcome;
    }

    /**
     * SparkSubmit reports an exit status as an exception of its own; behind it stands a Python program that failed, or
     * a main class that is not there. Everything else is the exception that ended the job.
     */
    private static Outcome explain(Throwable error, Submission submission, OutputTail output) {
        if (!(error instanceof SparkUserAppException)) {
            error.printStackTrace();
        }
        Optional<String> givenUp = HearthSchedulerBackend.whyGivenUp();
        if (givenUp.isPresent()) {
            return new Outcome(1, SparkException.class.getName(), givenUp.get());
        }
        if (!(error instanceof SparkUserAppException exit)) {
            return Outcome.failed(1, error instanceof UncheckedIOException ? error.getCause() : error);
        }
        if (exit.exitCode() == CLASS_NOT_FOUND && submission.lastError() != null) {
            return new Outcome(exit.exitCode(), ClassNotFoundException.class.getName(), submission.lastError());
        }
        return PythonFailure.in(output.text())
                .map(failure -> new Outcome(exit.exitCode(), failure.type(), failure.message()))
                .orElseGet(() -> new Outcome(exit.exitCode(), SparkUserAppException.class.getName(),
                        "the program exited with status " + exit.exitCode()));
    }

    /** A main that returns without stopping its context has ended the job all the same, as on Kubernetes. */
    private static void stopContext(int exitCode) {
        Option<SparkContext> active = SparkContext$.MODULE$.getActive();
        if (active.isDefined()) {
            SparkVersions.stop(active.get(), exitCode);
        }
    }

    @Override
    public void cancel() {
        stopContext(Outcome.CANCELLED);
        ProcessHandle.current().descendants().forEach(ProcessHandle::destroy);
    }
}
