package org.apache.spark.examples;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.sql.SparkSession;
import scala.Tuple2;

/**
 * Counts the words of a text. Arguments: input path, and optionally an output path for tab-separated {@code word, count}
 * lines; without one every count is printed.
 */
public final class JavaWordCount {
    private static final Pattern SPACES = Pattern.compile("\\s+");

    private JavaWordCount() {}

    public static void main(String[] args) {
        if (args.length < 1) {
            System.err.println("Usage: JavaWordCount <input> [<output>]");
            System.exit(1);
        }
        SparkSession spark = SparkSession.builder().appName("JavaWordCount").getOrCreate();
        JavaPairRDD<String, Long> counts = spark.read().textFile(args[0]).javaRDD()
                .flatMap(line -> Arrays.asList(SPACES.split(line)).iterator())
                .filter(word -> !word.isEmpty())
                .mapToPair(word -> new Tuple2<>(word, 1L))
                .reduceByKey(Long::sum);
        if (args.length > 1) {
            counts.map(count -> count._1() + "\t" + count._2()).saveAsTextFile(args[1]);
        } else {
            List<Tuple2<String, Long>> all = counts.collect();
            for (Tuple2<String, Long> count : all) {
                System.out.println(count._1() + ": " + count._2());
            }
        }
        spark.stop();
    }
}
