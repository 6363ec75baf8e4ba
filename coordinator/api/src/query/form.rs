//! Form parameters, of a POST's body or a GET's query.

use super::Failure;
use http::request::Parts;
use std::collections::BTreeMap;

/// The parameters of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads query and body; the body counts where both name a parameter.
    pub(crate) fn read(parts: &Parts, body: &[u8]) -> Self {
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes());
        let body = url::form_urlencoded::parse(body);
        Self(query.chain(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// A parameter, if it is there.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there and not empty.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| {
            let mut member = name.to_owned();
            member[..1].make_ascii_lowercase();
            Failure::invalid(format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// A whole number between two bounds, or a default.
    pub(crate) fn number(&self, name: &str, default: u32, min: u32, max: u32) -> Result<u32, Failure> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| {
            Failure::invalid(format!("The value '{text}' of {name} is not between {min} and {max}."))
        })
    }

    /// Whether a parameter says `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A list of structures with this one member: `name.member.1.member`, …; with an empty member, `name.member.1`.
    pub(crate) fn list(&self, name: &str, member: &str) -> Vec<&str> {
        let key = |n: usize| match member {
            "" => format!("{name}.member.{n}"),
            member => format!("{name}.member.{n}.{member}"),
        };
        (1..).map_while(|n| self.text(&key(n))).collect()
    }

    /// Tags, of `Tags.member.N.Key` and `.Value`.
    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        let keys = self.list("Tags", "Key").into_iter().map(str::to_owned);
        keys.zip(self.list("Tags", "Value").into_iter().map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_from_query_and_body() {
        let parts = http::Request::builder().uri("/?Action=A&N=5").body(()).expect("request").into_parts().0;
        let form = Form::read(
            &parts,
            b"Tags.member.1.Key=a+b&Tags.member.1.Value=%C3%A4&P.member.1.arn=x&P.member.2.arn=y&N=7",
        );
        assert_eq!(form.text("Action"), Some("A"));
        assert_eq!(form.number("N", 1, 0, 10).ok(), Some(7));
        assert!(form.number("N", 1, 0, 6).is_err());
        assert_eq!(form.number("M", 1, 0, 6).ok(), Some(1));
        assert_eq!(form.list("P", "arn"), ["x", "y"]);
        assert_eq!(form.tags(), BTreeMap::from([("a b".to_owned(), "ä".to_owned())]));
        assert!(form.required("RoleName").is_err());
    }
}
