package io.hearth.launcher;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A strict JSON codec (RFC 8259) for the control channel.
 *
 * <p>The engine's own JSON library is not used: the launcher runs before the engine and must not tie hearth to its
 * version. Values are {@code Map<String, Object>} in document order, {@code List<Object>}, {@code String},
 * {@code Long}, {@code Double}, {@code Boolean} and {@code null}.
 */
public final class Json {
    /** Deeper documents are refused, so that a malformed line cannot overflow the stack. */
    static final int MAX_DEPTH = 64;

    /** Says that a text is not the JSON that was expected; the message never quotes the text, which may hold a secret. */
    public static final class MalformedException extends Exception {
        MalformedException(String message) {
            super(message);
        }
    }

    private final String text;
    private int position;

    private Json(String text) {
        this.text = text;
    }

    /** Parses one JSON object that fills the whole text. */
    public static Map<String, Object> parseObject(String text) throws MalformedException {
        Json parser = new Json(text);
        parser.skipSpace();
        Map<String, Object> object = parser.object(0);
        parser.skipSpace();
        if (parser.position != text.length()) {
            throw parser.malformed("text after the object");
        }
        return object;
    }

    /** Renders a value on one line. Maps, lists, strings, numbers, booleans and null are known; others are a bug. */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value == null || value instanceof Boolean) {
            out.append(value);
        } else if (value instanceof Integer || value instanceof Long) {
            out.append(value);
        } else if (value instanceof Double number) {
            if (number.isNaN() || number.isInfinite()) {
                throw new IllegalArgumentException("JSON has no " + number);
            }
            out.append(number.doubleValue());
        } else if (value instanceof String string) {
            writeString(string, out);
        } else if (value instanceof Map<?, ?> map) {
            out.append('{');
            String separator = "";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                out.append(separator);
                writeString((String) entry.getKey(), out);
                out.append(':');
                write(entry.getValue(), out);
                separator = ",";
            }
            out.append('}');
        } else if (value instanceof Iterable<?> items) {
            out.append('[');
            String separator = "";
            for (Object item : items) {
                out.append(separator);
                write(item, out);
                separator = ",";
            }
            out.append(']');
        } else {
            throw new IllegalArgumentException("JSON cannot hold a " + value.getClass().getName());
        }
    }

    private static void writeString(String string, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < string.length(); i++) {
            char c = string.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (c < 0x20 || isLoneSurrogate(string, i)) {
                        // A lone surrogate escaped would be refused by strict readers, and has no UTF-8 form either.
                        out.append(c < 0x20 ? String.format("\\u%04x", (int) c) : "\uFFFD");
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }

    private static boolean isLoneSurrogate(String string, int index) {
        char c = string.charAt(index);
        if (Character.isHighSurrogate(c)) {
            return index + 1 == string.length() || !Character.isLowSurrogate(string.charAt(index + 1));
        }
        return Character.isLowSurrogate(c) && (index == 0 || !Character.isHighSurrogate(string.charAt(index - 1)));
    }

    private Object value(int depth) throws MalformedException {
        if (depth > MAX_DEPTH) {
            throw malformed("nesting deeper than " + MAX_DEPTH);
        }
        char c = peek();
        return switch (c) {
            case '{' -> object(depth);
            case '[' -> array(depth);
            case '"' -> string();
            case 't' -> literal("true", Boolean.TRUE);
            case 'f' -> literal("false", Boolean.FALSE);
            case 'n' -> literal("null", null);
            default -> number();
        };
    }

    private Map<String, Object> object(int depth) throws MalformedException {
        expect('{');
        Map<String, Object> object = new LinkedHashMap<>();
        skipSpace();
        if (peek() == '}') {
            position++;
            return object;
        }
        while (true) {
            skipSpace();
            String name = string();
            skipSpace();
            expect(':');
            skipSpace();
            Object member = value(depth + 1);
            if (object.containsKey(name)) {
                throw malformed("a repeated member name");
            }
            object.put(name, member);
            skipSpace();
            if (peek() == ',') {
                position++;
            } else {
                expect('}');
                return object;
            }
        }
    }

    private List<Object> array(int depth) throws MalformedException {
        expect('[');
        List<Object> array = new ArrayList<>();
        skipSpace();
        if (peek() == ']') {
            position++;
            return array;
        }
        while (true) {
            skipSpace();
            array.add(value(depth + 1));
            skipSpace();
            if (peek() == ',') {
                position++;
            } else {
                expect(']');
                return array;
            }
        }
    }

    private String string() throws MalformedException {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (true) {
            char c = next();
            if (c == '"') {
                return out.toString();
            }
            if (c < 0x20) {
                throw malformed("a control character in a string");
            }
            out.append(c == '\\' ? escape() : c);
        }
    }

    private char escape() throws MalformedException {
        char c = next();
        return switch (c) {
            case '"', '\\', '/' -> c;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> {
                int code = 0;
                for (int i = 0; i < 4; i++) {
                    int digit = Character.digit(next(), 16);
                    if (digit < 0) {
                        throw malformed("a broken \\u escape");
                    }
                    code = code * 16 + digit;
                }
                yield (char) code;
            }
            default -> throw malformed("an unknown escape");
        };
    }

    private Object number() throws MalformedException {
        int start = position;
        boolean isIntegral = true;
        skip('-');
        if (!skip('0')) {
            digits();
        }
        if (skip('.')) {
            isIntegral = false;
            digits();
        }
        if (skip('e') || skip('E')) {
            isIntegral = false;
            if (!skip('+')) {
                skip('-');
            }
            digits();
        }
        String number = text.substring(start, position);
        try {
            return isIntegral ? (Object) Long.parseLong(number) : (Object) Double.parseDouble(number);
        } catch (NumberFormatException e) {
            throw malformed("a number out of range");
        }
    }

    private void digits() throws MalformedException {
        int start = position;
        while (position < text.length() && text.charAt(position) >= '0' && text.charAt(position) <= '9') {
            position++;
        }
        if (position == start) {
            throw malformed("an unexpected character");
        }
    }

    private Object literal(String word, Object meaning) throws MalformedException {
        if (!text.startsWith(word, position)) {
            throw malformed("an unknown word");
        }
        position += word.length();
        return meaning;
    }

    private void skipSpace() {
        while (position < text.length() && " \t\r\n".indexOf(text.charAt(position)) >= 0) {
            position++;
        }
    }

    private boolean skip(char c) {
        if (position < text.length() && text.charAt(position) == c) {
            position++;
            return true;
        }
        return false;
    }

    private void expect(char c) throws MalformedException {
        if (!skip(c)) {
            throw malformed("no '" + c + "' where one is due");
        }
    }

    private char peek() throws MalformedException {
        if (position >= text.length()) {
            throw malformed("an early end");
        }
        return text.charAt(position);
    }

    private char next() throws MalformedException {
        char c = peek();
        position++;
        return c;
    }

    private MalformedException malformed(String what) {
        return new MalformedException("malformed JSON: " + what + " at character " + position);
    }
}
