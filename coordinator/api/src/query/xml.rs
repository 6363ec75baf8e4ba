//! Writing XML: elements with text or with members, which is all the query protocol has.

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Xml {
    /// Text.
    Text(String),
    /// Named elements, in order.
    Members(Vec<(String, Xml)>),
}

impl Xml {
    /// Text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Named elements.
    pub(crate) fn members<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Members(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A list: each item is an element named `member`.
    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::Members(items.into_iter().map(|item| ("member".to_owned(), item)).collect())
    }

    /// With one more named element, if there is a value for it.
    pub(crate) fn with(mut self, name: &str, value: Option<Self>) -> Self {
        if let (Self::Members(members), Some(value)) = (&mut self, value) {
            members.push((name.to_owned(), value));
        }
        self
    }

    /// The whole document; no namespace if empty.
    pub(crate) fn document(&self, root: &str, namespace: &str) -> String {
        let mut text = format!("<{root}");
        if !namespace.is_empty() {
            text.push_str(&format!(" xmlns=\"{namespace}\""));
        }
        text.push('>');
        self.write(&mut text);
        text.push_str(&format!("</{root}>\n"));
        text
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Text(text) => text.chars().for_each(|c| escape(c, to)),
            Self::Members(members) => {
                for (name, value) in members {
                    to.push_str(&format!("<{name}>"));
                    value.write(to);
                    to.push_str(&format!("</{name}>"));
                }
            }
        }
    }
}

/// Writes a character; one that XML cannot hold becomes the replacement character.
fn escape(c: char, to: &mut String) {
    match c {
        '&' => to.push_str("&amp;"),
        '<' => to.push_str("&lt;"),
        '>' => to.push_str("&gt;"),
        '\r' => to.push_str("&#xD;"),
        '\t' | '\n' => to.push(c),
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => to.push('\u{fffd}'),
        c => to.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_nest_and_text_is_escaped() {
        let xml = Xml::members([("A", Xml::list([Xml::text("a<b&c>\u{1}"), Xml::text("")]))])
            .with("B", None)
            .with("C", Some(Xml::text("x")));
        assert_eq!(
            xml.document("R", "urn:x"),
            "<R xmlns=\"urn:x\"><A><member>a&lt;b&amp;c&gt;\u{fffd}</member><member></member></A><C>x</C></R>\n"
        );
    }
}
