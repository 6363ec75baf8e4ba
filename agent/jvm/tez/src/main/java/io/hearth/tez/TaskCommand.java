package io.hearth.tez;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The start line of a task container, taken apart: this JVM is up already, so its system properties are set and its main
 * class is called with the arguments. JVM options in it came with the worker's start.
 *
 * @param properties what {@code -D} sets
 * @param mainClass the main class
 * @param args its arguments
 */
record TaskCommand(Map<String, String> properties, String mainClass, List<String> args) {
    /** Options whose value is the next word. */
    private static final String WITH_VALUE = "--add-(opens|exports|modules|reads)|-cp|-classpath|--class-path";

    static TaskCommand parse(String command) {
        Map<String, String> properties = new TreeMap<>();
        List<String> line = words(command);
        int at = 1; // Behind the path of java.
        for (; line.get(at).startsWith("-"); at++) {
            String option = line.get(at);
            if (option.startsWith("-D")) {
                String[] pair = option.substring(2).split("=", 2);
                properties.put(pair[0], pair.length == 2 ? pair[1] : "");
            } else if (option.matches(WITH_VALUE)) {
                at++;
            }
        }
        List<String> words = line.subList(at, line.size()).stream().filter(word -> !word.matches("[12]>.*")).toList();
        // A temporary directory relative to a shell's $PWD; the worker has its own.
        properties.remove("java.io.tmpdir");
        return new TaskCommand(properties, words.get(0), words.subList(1, words.size()));
    }

    /** Words as a shell makes them of blanks and quotes. */
    private static List<String> words(String command) {
        List<String> words = new ArrayList<>();
        StringBuilder word = new StringBuilder();
        char quote = 0;
        boolean isWord = false;
        for (char c : command.toCharArray()) {
            if (quote != 0) {
                if (c == quote) {
                    quote = 0;
                } else {
                    word.append(c);
                }
            } else if (c == '\'' || c == '"') {
                quote = c;
                isWord = true;
            } else if (Character.isWhitespace(c)) {
                if (isWord) {
                    words.add(word.toString());
                    word.setLength(0);
                    isWord = false;
                }
            } else {
                word.append(c);
                isWord = true;
            }
        }
        if (isWord) {
            words.add(word.toString());
        }
        return words;
    }
}
