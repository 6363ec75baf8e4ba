//! Condition operators, and the values they compare with.

use super::pattern::{ArnPattern, Case, Pattern, Syntax};
use super::{Context, MalformedPolicy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, OffsetDateTime};

/// An order two values can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// What an operator compares, its negation apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Text { wildcards: bool, case: Case },
    Arn,
    Bool,
    Binary,
    Address,
    Date(Order),
    Number(Order),
    Null,
}

/// An operator's test and whether it is negated; `None` when there is no such operator.
pub(super) fn operator(name: &str) -> Option<(Test, bool)> {
    let text = |wildcards, case| Test::Text { wildcards, case };
    Some(match name {
        "StringEquals" => (text(false, Case::Sensitive), false),
        "StringNotEquals" => (text(false, Case::Sensitive), true),
        "StringEqualsIgnoreCase" => (text(false, Case::Insensitive), false),
        "StringNotEqualsIgnoreCase" => (text(false, Case::Insensitive), true),
        "StringLike" => (text(true, Case::Sensitive), false),
        "StringNotLike" => (text(true, Case::Sensitive), true),
        "ArnEquals" | "ArnLike" => (Test::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
        "Bool" => (Test::Bool, false),
        "BinaryEquals" => (Test::Binary, false),
        "IpAddress" => (Test::Address, false),
        "NotIpAddress" => (Test::Address, true),
        "DateEquals" => (Test::Date(Order::Equal), false),
        "DateNotEquals" => (Test::Date(Order::Equal), true),
        "DateLessThan" => (Test::Date(Order::Less), false),
        "DateLessThanEquals" => (Test::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Test::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Test::Date(Order::GreaterOrEqual), false),
        "NumericEquals" => (Test::Number(Order::Equal), false),
        "NumericNotEquals" => (Test::Number(Order::Equal), true),
        "NumericLessThan" => (Test::Number(Order::Less), false),
        "NumericLessThanEquals" => (Test::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Test::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Test::Number(Order::GreaterOrEqual), false),
        "Null" => (Test::Null, false),
        _ => return None,
    })
}

/// A policy's value, read once.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Text(Pattern, Case),
    Arn(ArnPattern),
    Bool(bool),
    Binary(Vec<u8>),
    Address(Network),
    Date(Order, OffsetDateTime),
    Number(Order, f64),
}

impl Operand {
    /// Reads `text` for `test`; `None` when it has the wrong form.
    pub(super) fn parse(test: Test, text: &str, variables: bool) -> Option<Self> {
        Some(match test {
            Test::Text { wildcards, case } => {
                Self::Text(Pattern::parse(text, Syntax { wildcards, variables }), case)
            }
            Test::Arn => Self::Arn(ArnPattern::parse(text, variables)),
            Test::Bool | Test::Null => Self::Bool(boolean(text)?),
            Test::Binary => Self::Binary(STANDARD.decode(text).ok()?),
            Test::Address => Self::Address(Network::parse(text)?),
            Test::Date(order) => Self::Date(order, date(text)?),
            Test::Number(order) => Self::Number(order, number(text)?),
        })
    }

    /// Whether the request's value satisfies this operand; one of the wrong form does not.
    pub(super) fn accepts(&self, value: &str, context: &Context) -> bool {
        match self {
            Self::Text(pattern, case) => pattern.matches(value, context, *case),
            Self::Arn(pattern) => pattern.matches(value, context),
            Self::Bool(wanted) => boolean(value) == Some(*wanted),
            Self::Binary(wanted) => STANDARD.decode(value).is_ok_and(|value| value == *wanted),
            Self::Address(network) => value.parse().is_ok_and(|address| network.contains(address)),
            Self::Date(order, wanted) => date(value).is_some_and(|value| order.holds(value, *wanted)),
            Self::Number(order, wanted) => number(value).is_some_and(|value| order.holds(value, *wanted)),
        }
    }
}

/// The refusal of a value by its operator.
pub(super) fn refused(operator: &str, value: &str) -> MalformedPolicy {
    MalformedPolicy::Value { operator: operator.to_owned(), value: value.to_owned() }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// An ISO 8601 date or time, or seconds since 1970.
fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Iso8601::DEFAULT))
        .ok()
        .or_else(|| Date::parse(text, &Iso8601::DEFAULT).ok().map(|date| date.midnight().assume_utc()))
        .or_else(|| text.parse().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()))
}

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `203.0.113.0/24`, `2001:db8::/32`, or one address.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let width = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(name: &str, wanted: &str, value: &str) -> bool {
        let (test, _) = operator(name).expect(name);
        Operand::parse(test, wanted, true).expect(wanted).accepts(value, &Context::new())
    }

    #[test]
    fn values_are_compared_by_their_kind() {
        for (name, wanted, value, accepted) in [
            ("StringEquals", "a*", "a*", true),
            ("StringEquals", "a*", "ab", false),
            ("StringEqualsIgnoreCase", "AB", "ab", true),
            ("StringLike", "a*", "ab", true),
            ("ArnLike", "arn:aws:iam::*:role/x", "arn:aws:iam::1:role/x", true),
            ("ArnEquals", "arn:aws:iam:*:role/x", "arn:aws:iam::1:role/x", false),
            ("Bool", "true", "TRUE", true),
            ("Bool", "true", "yes", false),
            ("BinaryEquals", "AQID", "AQID", true),
            ("BinaryEquals", "AQID", "aqid", false),
            ("IpAddress", "203.0.113.0/24", "203.0.113.9", true),
            ("IpAddress", "203.0.113.0/24", "203.0.114.9", false),
            ("IpAddress", "203.0.113.7", "::ffff:203.0.113.7", true),
            ("IpAddress", "0.0.0.0/0", "::1", false),
            ("IpAddress", "2001:db8::/32", "2001:db8:1::1", true),
            ("NumericLessThanEquals", "10", "10.0", true),
            ("NumericGreaterThan", "10", "9", false),
            ("NumericEquals", "10", "ten", false),
            ("DateLessThan", "2030-01-01", "2029-12-31T23:59:59Z", true),
            ("DateLessThan", "2030-01-01T00:00Z", "2029-12-31T23:59:59Z", true),
            ("DateGreaterThan", "2020-01-01T00:00:00+02:00", "2019-12-31T22:00:01Z", true),
            ("DateEquals", "1577836800", "2020-01-01T00:00:00Z", true),
            ("DateGreaterThanEquals", "2020-01-01T00:00:00Z", "1577836800", true),
        ] {
            assert_eq!(accepts(name, wanted, value), accepted, "{name} {wanted} {value}");
        }
    }

    #[test]
    fn values_of_the_wrong_form_are_found_when_the_policy_is_read() {
        for (name, value) in [
            ("Bool", "yes"),
            ("BinaryEquals", "not base64"),
            ("IpAddress", "203.0.113.0/33"),
            ("IpAddress", "here"),
            ("DateEquals", "tomorrow"),
            ("NumericEquals", "NaN"),
            ("Null", "1"),
        ] {
            let (test, _) = operator(name).expect(name);
            assert_eq!(Operand::parse(test, value, true), None, "{name} {value}");
        }
    }
}
