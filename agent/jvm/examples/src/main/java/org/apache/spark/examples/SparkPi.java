package org.apache.spark.examples;

/** The name the guide uses (guide:2978); the work is {@link JavaSparkPi}'s. */
public final class SparkPi {
    private SparkPi() {}

    public static void main(String[] args) {
        JavaSparkPi.run("Spark Pi", args);
    }
}
