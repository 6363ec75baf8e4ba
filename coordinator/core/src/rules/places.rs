//! The form of what lies outside: object locations, log URIs, networks.

use super::Broken;

/// Schemes under which the object store is known.
const SCHEMES: [&str; 3] = ["s3://", "s3a://", "s3n://"];

/// Bucket and key (possibly empty) of an `s3://`, `s3a://` or `s3n://` location.
pub fn split_location(location: &str) -> Option<(&str, &str)> {
    let rest = SCHEMES.iter().find_map(|scheme| location.strip_prefix(scheme))?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty()).then_some((bucket, key))
}

/// Checks a place for logs: `s3://bucket` with an optional prefix (guide:4741).
pub fn check_log_uri(member: &str, uri: &str) -> Result<(), Broken> {
    match split_location(uri) {
        Some((bucket, _)) if is_bucket_name(bucket) => Ok(()),
        Some(_) | None => Err(Broken::text(member, "must be of the form s3://bucket/prefix", uri)),
    }
}

/// What every bucket's name looks like, in any store.
fn is_bucket_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| plain(c) || matches!(c, '.' | '-'))
        && name.starts_with(plain)
        && name.ends_with(plain)
}

/// Checks the id of a subnet: `subnet-` and 8 or 17 hexadecimal digits.
pub fn check_subnet(member: &str, id: &str) -> Result<(), Broken> {
    let rule = "must be a subnet's id such as subnet-0123456789abcdef0";
    check_id("subnet-", id).then_some(()).ok_or_else(|| Broken::text(member, rule, id))
}

/// Checks the id of a security group: `sg-` and 8 or 17 hexadecimal digits.
pub fn check_security_group(member: &str, id: &str) -> Result<(), Broken> {
    let rule = "must be a security group's id such as sg-0123456789abcdef0";
    check_id("sg-", id).then_some(()).ok_or_else(|| Broken::text(member, rule, id))
}

fn check_id(prefix: &str, id: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|digits| {
        [8, 17].contains(&digits.len())
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, 'a'..='f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_split_at_the_first_slash_of_the_path() {
        assert_eq!(split_location("s3://bucket/a/b"), Some(("bucket", "a/b")));
        assert_eq!(split_location("s3a://bucket"), Some(("bucket", "")));
        assert_eq!(split_location("s3:///a"), None);
        assert_eq!(split_location("/a/b"), None);
    }

    #[test]
    fn logs_go_to_a_bucket_that_can_exist() {
        let longest = format!("s3://{}/logs", "b".repeat(63));
        for uri in ["s3://logs", "s3://logs/", "s3://my-logs.2/a b/ü", "s3a://logs/x", longest.as_str()] {
            assert_eq!(check_log_uri("logUri", uri), Ok(()), "{uri}");
        }
        let too_long = format!("s3://{}", "b".repeat(64));
        for uri in [
            "logs",
            "s3:/logs/x",
            "file:///logs",
            "https://bucket/x",
            "s3://",
            "s3:///x",
            "s3://ab",
            "s3://Logs/x",
            "s3://-logs",
            "s3://logs-/x",
            "s3://lo gs/x",
            "s3://lo_gs/x",
            too_long.as_str(),
        ] {
            assert!(check_log_uri("logUri", uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn networks_are_named_by_their_ids() {
        for id in ["0123abcd", "0123456789abcdef0"] {
            assert_eq!(check_subnet("m", &format!("subnet-{id}")), Ok(()), "{id}");
            assert_eq!(check_security_group("m", &format!("sg-{id}")), Ok(()), "{id}");
            assert!(check_subnet("m", &format!("sg-{id}")).is_err(), "{id}");
            assert!(check_security_group("m", &format!("subnet-{id}")).is_err(), "{id}");
        }
        for id in ["", "0123abc", "0123ABCD", "0123abcg", "0123456789abcdef01", "0123abcd "] {
            assert!(check_subnet("m", &format!("subnet-{id}")).is_err(), "{id}");
        }
        let broken = check_subnet("networkConfiguration.subnetIds[1]", "vpc-1").expect_err("no subnet");
        assert_eq!(
            broken.to_string(),
            "networkConfiguration.subnetIds[1] must be a subnet's id such as subnet-0123456789abcdef0, got \"vpc-1\""
        );
    }
}
