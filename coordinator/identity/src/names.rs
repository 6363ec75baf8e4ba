//! Names, paths and identifiers as IAM forms them.

use crate::IdentityError;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Checks the name of a user, role or policy: 1 to `max` characters of `A-Za-z0-9_+=,.@-`.
pub(crate) fn check_name(field: &'static str, name: &str, max: usize) -> Result<(), IdentityError> {
    let fits = (1..=max).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if fits {
        Ok(())
    } else {
        Err(IdentityError::Invalid(format!(
            "The specified value for {field} is invalid. It must contain only alphanumeric characters and/or the \
             following: +=,.@_- and be 1 to {max} characters long"
        )))
    }
}

/// Checks a path: `/`, or printable characters between slashes, at most 512.
pub(crate) fn check_path(path: &str) -> Result<(), IdentityError> {
    let fits = (1..=512).contains(&path.len())
        && path.starts_with('/')
        && path.ends_with('/')
        && path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if fits {
        Ok(())
    } else {
        Err(IdentityError::Invalid(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric \
             characters and/or / characters."
                .to_owned(),
        ))
    }
}

/// A unique id: its prefix (`AIDA`, `AROA`, `ANPA`, `AKIA`, `ASIA`) and random capitals and digits, `length` in all.
pub(crate) fn random_id(prefix: &str, length: usize) -> String {
    let mut bytes = vec![0; length - prefix.len()];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    let tail = bytes.iter().map(|byte| char::from(BASE32[usize::from(byte & 31)]));
    prefix.chars().chain(tail).collect()
}
