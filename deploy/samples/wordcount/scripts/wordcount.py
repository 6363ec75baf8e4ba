"""Counts the words of text files with Spark.

    wordcount.py OUTPUT [INPUT...]

OUTPUT is a folder that may exist: it is overwritten. INPUT is one or more files, folders or patterns on any file
system that Spark reads, text in UTF-8; without one, the sample text is counted.

A word is what stands between white space (blanks, tabs, line ends), letter case and punctuation kept. Each line of
the output is `word,count` in CSV: a word that holds a comma or a double quote is quoted, and a double quote in it is
doubled. The most frequent words come first, words of the same count in the order of their bytes. So, apart from
quoting, the output equals that of

    cat INPUT... | tr -s ' \\t\\r\\f\\v' '\\n' | grep . | LC_ALL=C sort | uniq -c | LC_ALL=C sort -k1,1nr -k2
"""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

SAMPLE_TEXT = "s3://us-east-1.elasticmapreduce/emr-containers/samples/wordcount/input/*"


def main(arguments):
    if not arguments:
        sys.exit("usage: wordcount.py OUTPUT [INPUT...]")
    output, inputs = arguments[0], arguments[1:] or [SAMPLE_TEXT]
    with SparkSession.builder.appName("wordcount").getOrCreate() as spark:
        lines = spark.read.text(inputs)
        words = lines.select(f.explode(f.split("value", r"[ \t\r\f\x0b]+")).alias("word"))
        counts = words.where("word != ''").groupBy("word").count()
        ordered = counts.orderBy(f.desc("count"), "word")
        as_written = {"escape": '"', "ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False}
        ordered.coalesce(1).write.mode("overwrite").options(**as_written).csv(output)
        print(f"word counts of {', '.join(inputs)} are in {output}")


if __name__ == "__main__":
    main(sys.argv[1:])
