package io.hearth.hive;

import java.util.ArrayList;
import java.util.List;

/** A Hive script, taken apart into its statements. */
final class Script {
    private Script() {}

    /**
     * The statements in order, without the semicolons between them. A semicolon inside quotes or a comment, or behind a
     * backslash, ends none, and what is nothing but comments is none.
     */
    static List<String> statements(String text) {
        List<String> statements = new ArrayList<>();
        StringBuilder statement = new StringBuilder();
        boolean isEmpty = true;
        char quote = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (quote == 0 && text.startsWith("--", i)) {
                int end = text.indexOf('\n', i);
                i = end < 0 ? text.length() : end;
                statement.append('\n');
                continue;
            }
            if (quote == 0 && c == ';') {
                if (!isEmpty) {
                    statements.add(statement.toString().strip());
                }
                statement.setLength(0);
                isEmpty = true;
                continue;
            }
            if (c == '\\' && i + 1 < text.length()) {
                char escaped = text.charAt(++i);
                if (quote != 0 || escaped != ';') {
                    statement.append(c);
                }
                statement.append(escaped);
                isEmpty = false;
                continue;
            }
            if (quote != 0) {
                quote = c == quote ? 0 : quote;
            } else if (c == '\'' || c == '"' || c == '`') {
                quote = c;
            }
            isEmpty &= Character.isWhitespace(c);
            statement.append(c);
        }
        if (!isEmpty) {
            statements.add(statement.toString().strip());
        }
        return statements;
    }
}
