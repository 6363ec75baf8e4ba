/**
 * Spark on hearth: the cluster manager behind {@code spark-hearth://}, and what runs a driver or an executor in a JVM
 * that hearth's launcher started. The package lies under {@code org.apache.spark} because the extension points it uses
 * are private to that package in Scala's eyes.
 */
package org.apache.spark.hearth;
