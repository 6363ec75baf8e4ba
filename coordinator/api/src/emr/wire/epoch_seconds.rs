//! Timestamps as the service's JSON carries them: seconds since the epoch, a number with a millisecond fraction.

use hearth_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes seconds.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_seconds().serialize(serializer)
}

/// Reads seconds, rounded to milliseconds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    f64::deserialize(deserializer).map(from_seconds)
}

fn from_seconds(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1000.0).round() as i64)
}

/// The same for a member that may be absent.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, from_seconds};

    /// Writes seconds, or null.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads seconds, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.map(from_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_the_way_through_seconds() {
        #[derive(Serialize, Deserialize)]
        struct At(#[serde(with = "super")] Timestamp);
        for millis in [0, 1, 1_700_000_000_123, 1_763_845_301_999, -1] {
            let text = serde_json::to_string(&At(Timestamp::from_millis(millis))).expect("json");
            let back: At = serde_json::from_str(&text).expect("json");
            assert_eq!(back.0.as_millis(), millis, "{text}");
        }
    }
}
