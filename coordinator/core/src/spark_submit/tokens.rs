//! Splits an option string into words, as Spark's own launcher does (`CommandBuilderUtils.parseOptionString`, 3.5.3).

use super::Fault;

/// Where the splitter stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

/// The words of `text`.
///
/// White space separates. Single quotes keep everything literally; outside of them a backslash makes the next
/// character literal, within double quotes too. An empty pair of quotes is an empty word. Fails when a quote stays
/// open or the text ends in a backslash.
pub fn split(text: &str) -> Result<Vec<String>, Fault> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = Quote::None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Quote::Single, '\'') | (Quote::Double, '"') => quote = Quote::None,
            (Quote::Single, c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().push(characters.next().ok_or(Fault::Unbalanced)?),
            (Quote::Double, c) => word.get_or_insert_default().push(c),
            (Quote::None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = if c == '"' { Quote::Double } else { Quote::Single };
            }
            (Quote::None, c) if is_java_whitespace(c) => words.extend(word.take()),
            (Quote::None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote != Quote::None {
        return Err(Fault::Unbalanced);
    }
    words.extend(word);
    Ok(words)
}

/// `Character.isWhitespace`: without the no-break spaces and NEL that Rust counts, with the four separators it does not.
fn is_java_whitespace(c: char) -> bool {
    match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}' => false,
        '\u{1c}'..='\u{1f}' => true,
        c => c.is_whitespace(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_spark_splits_them() {
        for (text, words) in [
            ("", &[][..]),
            ("  a \t\n b ", &["a", "b"]),
            ("--conf a='b c'", &["--conf", "a=b c"]),
            (r#"a"b 'c' d"e"#, &["ab 'c' de"]),
            (r"'a\b' a\ b", &[r"a\b", "a b"]),
            (r#""a\"b" "\n""#, &[r#"a"b"#, "n"]),
            ("'' \"\"", &["", ""]),
            ("a\u{a0}b\u{1c}c", &["a\u{a0}b", "c"]),
        ] {
            assert_eq!(split(text).expect(text), words, "{text:?}");
        }
    }

    #[test]
    fn an_open_quote_or_a_last_backslash_is_refused() {
        for text in ["'a", "\"a", "a\\", "'", "\"a\\\""] {
            assert_eq!(split(text), Err(Fault::Unbalanced), "{text:?}");
        }
    }
}
