package io.hearth.hive;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The command line of a Hive job.
 *
 * @param settings what {@code --hiveconf} sets, in order
 * @param variables what {@code --hivevar} defines, in order
 * @param initFile runs first
 * @param queryFile the script
 */
record Options(Map<String, String> settings, Map<String, String> variables, Optional<String> initFile, String queryFile) {
    /** Reads what the coordinator has written; anything else is a bug and not a user's mistake. */
    static Options parse(List<String> args) {
        Map<String, String> settings = new LinkedHashMap<>();
        Map<String, String> variables = new LinkedHashMap<>();
        String initFile = null;
        String queryFile = null;
        for (int i = 0; i + 1 < args.size(); i += 2) {
            String value = args.get(i + 1);
            switch (args.get(i)) {
                case "--hiveconf" -> assign(settings, value);
                case "--hivevar" -> assign(variables, value);
                case "-i" -> initFile = value;
                case "-f" -> queryFile = value;
                default -> throw new IllegalArgumentException("unknown option " + args.get(i));
            }
        }
        if (queryFile == null) {
            throw new IllegalArgumentException("no query file");
        }
        return new Options(settings, variables, Optional.ofNullable(initFile), queryFile);
    }

    private static void assign(Map<String, String> map, String assignment) {
        String[] pair = assignment.split("=", 2);
        map.put(pair[0], pair.length == 2 ? pair[1] : "");
    }
}
