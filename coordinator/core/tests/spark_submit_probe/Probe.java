import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.spark.deploy.SparkSubmitArguments;
import scala.collection.JavaConverters;

/**
 * Reads one JSON text a line (a string: the value of sparkSubmitParameters) and answers, a line each, with what Spark's
 * own launcher and SparkSubmitArguments make of it: {"tokens": [...] | null, "fields": {...} | null}.
 *
 * <p>Run as a single file with Spark's jars on the class path.
 */
public final class Probe {
  /** Fields of SparkSubmitArguments and the settings they stand for. */
  private static final String[][] FIELDS = {
    {"archives", "spark.archives"},
    {"driverExtraClassPath", "spark.driver.extraClassPath"},
    {"driverCores", "spark.driver.cores"},
    {"driverExtraJavaOptions", "spark.driver.extraJavaOptions"},
    {"driverExtraLibraryPath", "spark.driver.extraLibraryPath"},
    {"driverMemory", "spark.driver.memory"},
    {"packagesExclusions", "spark.jars.excludes"},
    {"executorCores", "spark.executor.cores"},
    {"executorMemory", "spark.executor.memory"},
    {"files", "spark.files"},
    {"jars", "spark.jars"},
    {"keytab", "spark.kerberos.keytab"},
    {"numExecutors", "spark.executor.instances"},
    {"packages", "spark.jars.packages"},
    {"principal", "spark.kerberos.principal"},
    {"pyFiles", "spark.submit.pyFiles"},
    {"queue", "spark.yarn.queue"},
    {"repositories", "spark.jars.repositories"},
    {"totalExecutorCores", "spark.cores.max"},
    {"name", "spark.app.name"},
  };

  private Probe() {}

  public static void main(String[] arguments) throws Exception {
    Method split =
        Class.forName("org.apache.spark.launcher.CommandBuilderUtils").getDeclaredMethod("parseOptionString", String.class);
    split.setAccessible(true);
    ObjectMapper json = new ObjectMapper();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      ObjectNode answer = json.createObjectNode();
      answer.putNull("tokens");
      answer.putNull("fields");
      try {
        @SuppressWarnings("unchecked")
        List<String> tokens = (List<String>) split.invoke(null, json.readTree(line).asText());
        answer.set("tokens", json.<JsonNode>valueToTree(tokens));
        answer.set("fields", fields(tokens, json));
      } catch (InvocationTargetException | RuntimeException | scala.NotImplementedError e) {
        // A refusal of Spark's: what could be read so far is the answer.
      } catch (Exception e) {
        // SparkException is checked in Java's eyes, thrown unannounced by Scala.
        if (!e.getClass().getName().equals("org.apache.spark.SparkException")) {
          throw e;
        }
      }
      out.println(json.writeValueAsString(answer));
    }
  }

  private static ObjectNode fields(List<String> tokens, ObjectMapper json) throws Exception {
    List<String> all = new ArrayList<>(tokens);
    all.add("s3://b/program.jar");
    scala.collection.immutable.Map<String, String> environment = scala.collection.immutable.Map$.MODULE$.empty();
    SparkSubmitArguments read =
        new SparkSubmitArguments(JavaConverters.asScalaBuffer(all).toSeq(), environment);
    ObjectNode fields = json.createObjectNode();
    for (Map.Entry<String, String> setting : JavaConverters.mapAsJavaMap(read.sparkProperties()).entrySet()) {
      fields.put(setting.getKey(), setting.getValue());
    }
    for (String[] field : FIELDS) {
      Object value = SparkSubmitArguments.class.getMethod(field[0]).invoke(read);
      if (value != null) {
        fields.put(field[1], value.toString());
      }
    }
    // Not settings: the test compares them under these names.
    fields.put("class", read.mainClass());
    fields.put("proxyUser", read.proxyUser());
    fields.put("verbose", String.valueOf(read.verbose()));
    fields.put("primary", read.primaryResource());
    return fields;
  }
}
