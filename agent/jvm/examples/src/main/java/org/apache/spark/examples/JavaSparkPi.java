package org.apache.spark.examples;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/** Estimates π by throwing points at a square. Argument: number of slices (default 2), each with 100,000 points. */
public final class JavaSparkPi {
    private static final int POINTS_PER_SLICE = 100_000;

    private JavaSparkPi() {}

    public static void main(String[] args) {
        run("JavaSparkPi", args);
    }

    static void run(String name, String[] args) {
        int slices = args.length > 0 ? Integer.parseInt(args[0]) : 2;
        SparkSession spark = SparkSession.builder().appName(name).getOrCreate();
        try (JavaSparkContext context = new JavaSparkContext(spark.sparkContext())) {
            List<Integer> numbers = new ArrayList<>(slices);
            for (int slice = 0; slice < slices; slice++) {
                numbers.add(slice);
            }
            long inside = context.parallelize(numbers, slices).map(slice -> hits(POINTS_PER_SLICE)).reduce(Long::sum);
            System.out.println("Pi is roughly " + 4.0 * inside / ((double) POINTS_PER_SLICE * slices));
        }
        spark.stop();
    }

    /** Counts how many of {@code points} random points of the unit square lie within the quarter circle. */
    private static long hits(int points) {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        long hits = 0;
        for (int point = 0; point < points; point++) {
            double x = random.nextDouble();
            double y = random.nextDouble();
            if (x * x + y * y <= 1) {
                hits++;
            }
        }
        return hits;
    }
}
