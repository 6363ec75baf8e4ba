"""A small job that walks the paths most jobs take, so that their classes end up in the class-data archive."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

directory = sys.argv[1]
spark = SparkSession.builder.getOrCreate()
frame = spark.range(1000).withColumn("key", f.col("id") % 7)
frame.groupBy("key").count().write.mode("overwrite").parquet(directory + "/counts")
counts = spark.read.parquet(directory + "/counts")
assert counts.join(frame, "key").count() == 1000
counts.createOrReplaceTempView("counts")
assert spark.sql("select sum(count) from counts").first()[0] == 1000
counts.selectExpr("cast(key as string) as value").write.mode("overwrite").text(directory + "/text")
words = spark.sparkContext.textFile(directory + "/text").map(lambda line: (line, 1)).reduceByKey(lambda a, b: a + b, 2)
assert words.count() == 7
try:
    # Nothing listens there: this only loads the S3 client, and is refused at once.
    path = spark._jvm.org.apache.hadoop.fs.Path("s3a://training/nothing")
    path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path)
except Exception as error:
    print("s3a:", str(error).splitlines()[-1][:200])
spark.stop()
