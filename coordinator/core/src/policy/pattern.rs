//! Texts with wildcards and policy variables.

use super::Context;

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `${key}` or `${key, 'default'}`
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// How a pattern's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Whether `*` and `?` stand for other characters.
    pub(super) wildcards: bool,
    /// Whether `${…}` is replaced: only in documents of version 2012-10-17.
    pub(super) variables: bool,
}

/// Whether letters of different case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Sensitive,
    Insensitive,
}

/// A text that may match many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads `text`. `${*}`, `${?}` and `${$}` are the characters themselves; an unclosed `${` is plain text.
    pub(super) fn parse(text: &str, syntax: Syntax) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let variable =
                rest.strip_prefix("${").filter(|_| syntax.variables).and_then(|text| text.split_once('}'));
            if let Some((inside, after)) = variable {
                pieces.push(variable_piece(inside));
                rest = after;
                continue;
            }
            pieces.push(match c {
                '*' if syntax.wildcards => Piece::Many,
                '?' if syntax.wildcards => Piece::One,
                c => Piece::Literal(c),
            });
            rest = &rest[c.len_utf8()..];
        }
        Self(pieces)
    }

    /// Whether `text` matches as a whole. A variable without a single value matches nothing.
    pub(super) fn matches(&self, text: &str, context: &Context, case: Case) -> bool {
        expand(&self.0, context).is_some_and(|pieces| glob(&pieces, &text.chars().collect::<Vec<_>>(), case))
    }
}

/// An ARN pattern: the parts between colons match one by one, and only the last may run over further colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArnPattern(Vec<Pattern>);

/// Parts of an ARN: `arn`, partition, service, Region, account, resource.
const ARN_PARTS: usize = 6;

impl ArnPattern {
    /// Reads `text`, which [`is_arn`] accepts. Colons inside variables separate nothing.
    ///
    /// `arn:aws:s3::name`, an S3 ARN that lacks a colon, is read as the `arn:aws:s3:::name` it can only mean: the
    /// reference guide's policies are printed so (guide:601-617), and people paste them.
    pub(super) fn parse(text: &str, variables: bool) -> Self {
        let mended = match text.strip_prefix("arn:aws:s3::") {
            Some(resource) if !resource.contains(':') => format!("arn:aws:s3:::{resource}"),
            _ => text.to_owned(),
        };
        let whole = Pattern::parse(&mended, Syntax { wildcards: true, variables });
        let parts = whole.0.splitn(ARN_PARTS, |piece| *piece == Piece::Literal(':'));
        Self(parts.map(|part| Pattern(part.to_vec())).collect())
    }

    /// Whether `arn` matches part by part. Parts that the pattern lacks may be anything, as IAM completes them; a lone `*`
    /// matches what is no ARN, too.
    pub(super) fn matches(&self, arn: &str, context: &Context) -> bool {
        let parts: Vec<_> = arn.splitn(ARN_PARTS, ':').collect();
        matches!(self.0.as_slice(), [Pattern(whole)] if whole == &[Piece::Many])
            || parts.len() == ARN_PARTS
                && self
                    .0
                    .iter()
                    .zip(parts)
                    .all(|(pattern, part)| pattern.matches(part, context, Case::Sensitive))
    }
}

/// Whether `text` has the form a policy may name a resource in.
pub(super) fn is_arn(text: &str) -> bool {
    text == "*" || text.starts_with("arn:")
}

fn variable_piece(inside: &str) -> Piece {
    match inside {
        "*" | "?" | "$" => Piece::Literal(inside.chars().next().unwrap_or('$')),
        _ => {
            let (key, default) = match inside.split_once(',') {
                Some((key, default)) => (key, Some(default.trim().trim_matches('\'').to_owned())),
                None => (inside, None),
            };
            Piece::Variable { key: key.trim().to_owned(), default }
        }
    }
}

/// `pieces` with every variable replaced by its literal value; `None` when one has none.
fn expand(pieces: &[Piece], context: &Context) -> Option<Vec<Piece>> {
    let mut expanded = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Variable { key, default } => {
                let value = context.single(key).or(default.as_deref())?;
                expanded.extend(value.chars().map(Piece::Literal));
            }
            piece => expanded.push(piece.clone()),
        }
    }
    Some(expanded)
}

/// Matches with one point of return, so the time is at most the product of both lengths.
fn glob(pattern: &[Piece], text: &[char], case: Case) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(Piece::Many) => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(Piece::One) => (at, read) = (at + 1, read + 1),
            Some(Piece::Literal(c)) if same(*c, text[read], case) => (at, read) = (at + 1, read + 1),
            _ => match star {
                // Let the last `*` take one character more.
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (at, read) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|piece| *piece == Piece::Many)
}

fn same(a: char, b: char, case: Case) -> bool {
    match case {
        Case::Sensitive => a == b,
        Case::Insensitive => a == b || a.to_lowercase().eq(b.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Syntax = Syntax { wildcards: true, variables: true };

    #[test]
    fn wildcards_match_as_shells_do() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("*", "", true),
            ("*", "anything/at:all", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("a*b*c", "a-b-b-c", true),
            ("?", "", false),
            ("?", "é", true),
            ("??", "a", false),
            ("a**b", "ab", true),
            ("*a", "aaab", false),
            ("Get*", "get", false),
        ] {
            let pattern_read = Pattern::parse(pattern, ALL);
            assert_eq!(
                pattern_read.matches(text, &Context::new(), Case::Sensitive),
                matches,
                "{pattern} {text}"
            );
        }
        assert!(Pattern::parse("S3:get*", ALL).matches("s3:GetObject", &Context::new(), Case::Insensitive));
    }

    #[test]
    fn a_hostile_pattern_is_matched_in_reasonable_time() {
        let pattern = Pattern::parse(&"*a".repeat(500), ALL);
        assert!(!pattern.matches(&"a".repeat(499), &Context::new(), Case::Sensitive));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(5000)), &Context::new(), Case::Sensitive));
    }

    #[test]
    fn variables_are_replaced_by_plain_text() {
        let context = Context::new().with("aws:username", "j*").with("s3:prefix", "x");
        let matches =
            |pattern: &str, text| Pattern::parse(pattern, ALL).matches(text, &context, Case::Sensitive);
        assert!(matches("home/${aws:UserName}/*", "home/j*/a"));
        assert!(!matches("home/${aws:username}/*", "home/jane/a"), "a value's star is no wildcard");
        assert!(!matches("home/${aws:missing}", "home/"));
        assert!(matches("home/${aws:missing, 'guest'}", "home/guest"));
        assert!(matches("a${*}b${?}${$}", "a*b?$"));
        assert!(!matches("a${*}b", "axb"));
        assert!(matches("${unclosed", "${unclosed"));
        let old = Pattern::parse("${aws:username}", Syntax { wildcards: true, variables: false });
        assert!(old.matches("${aws:username}", &context, Case::Sensitive));
    }

    #[test]
    fn only_the_last_part_of_an_arn_runs_over_colons() {
        let context = Context::new().with("aws:userid", "AROA:session");
        for (pattern, arn, matches) in [
            ("*", "arn:aws:s3:::b/k", true),
            ("*", "*", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k:1", true),
            ("arn:aws:s3:*", "arn:aws:s3:::b", true),
            ("arn:aws:s3", "arn:aws:s3:::b/k:1", true),
            ("arn:aws:s3", "arn:aws:iam::1:user/s3", false),
            ("arn:aws:s3", "*", false),
            ("arn:aws:*:::b", "arn:aws:s3:::b", true),
            ("arn:aws:logs:*:1:group:x", "arn:aws:logs:r:1:group:x", true),
            ("arn:aws:logs:*:group:x", "arn:aws:logs:r:1:group:x", false),
            ("arn:aws:s3::b/*", "arn:aws:s3:::b/k", true),
            ("arn:aws:s3:::b/${aws:userid}", "arn:aws:s3:::b/AROA:session", true),
            ("arn:aws:s3:::b", "*", false),
            ("arn:aws:s3:::B", "arn:aws:s3:::b", false),
        ] {
            assert_eq!(ArnPattern::parse(pattern, true).matches(arn, &context), matches, "{pattern} {arn}");
        }
    }
}
