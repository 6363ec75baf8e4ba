//! Amounts of memory and disk as Spark writes them (`JavaUtils.byteStringAs`, 3.5.3).

/// The unit of a number without a suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 2²⁰ bytes, as for all of Spark's memory settings.
    Mib,
    /// 2³⁰ bytes, as for disks.
    Gib,
}

/// The rule that a text read by [`mib`] must keep, for messages.
pub const MIB_RULE: &str = "a positive whole amount of memory such as 512m or 4g";

/// The bytes that `text` stands for: a whole number and one of `b k kb m mb g gb t tb p pb` in any case.
///
/// `None` for fractions, signs, other suffixes and amounts beyond 2⁶³ − 1 bytes: Spark refuses those too.
pub fn bytes(text: &str, default_unit: Unit) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let shift = match (suffix, default_unit) {
        ("b", _) => 0,
        ("k" | "kb", _) => 10,
        ("m" | "mb", _) | ("", Unit::Mib) => 20,
        ("g" | "gb", _) | ("", Unit::Gib) => 30,
        ("t" | "tb", _) => 40,
        ("p" | "pb", _) => 50,
        _ => return None,
    };
    let amount = u128::from(number.parse::<u64>().ok()?) << shift;
    u64::try_from(amount).ok().filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// Whole MiB, rounded down as Spark does; `None` when `text` is no amount or less than one MiB.
pub fn mib(text: &str) -> Option<u64> {
    bytes(text, Unit::Mib).map(|bytes| bytes >> 20).filter(|mib| *mib > 0)
}

/// Whole GiB, rounded up: a disk must hold what was asked for.
pub fn gib(text: &str) -> Option<u64> {
    bytes(text, Unit::Gib).map(|bytes| bytes.div_ceil(1 << 30)).filter(|gib| *gib > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_spark_reads_them() {
        for (text, expected) in [
            ("4g", Some(4096)),
            ("14G", Some(14336)),
            ("512m", Some(512)),
            ("2048", Some(2048)),
            ("1t", Some(1_048_576)),
            (" 1GB ", Some(1024)),
            ("1500k", Some(1)),
            ("2097152b", Some(2)),
            ("1k", None),
            ("0", None),
            ("1.5g", None),
            ("-1g", None),
            ("4 g", None),
            ("g", None),
            ("", None),
            ("4x", None),
            ("99999999999p", None),
            ("8192p", None),
        ] {
            assert_eq!(mib(text), expected, "{text:?}");
        }
    }

    #[test]
    fn disks_are_whole_gib_rounded_up() {
        assert_eq!(gib("20G"), Some(20));
        assert_eq!(gib("30"), Some(30));
        assert_eq!(gib("20481m"), Some(21));
        assert_eq!(gib("1.5G"), None);
    }
}
