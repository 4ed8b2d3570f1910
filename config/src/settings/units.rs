//! How durations are written: as whole numbers of the unit that ends the key's name.

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $from:path, $as:ident) => {
        $(#[$doc])*
        pub(super) mod $name {
            use std::time::Duration;

            use serde::{Deserialize, Deserializer, Serializer};

            pub(in crate::settings) fn serialize<S: Serializer>(
                duration: &Duration,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(u64::try_from(duration.$as()).unwrap_or(u64::MAX))
            }

            pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Duration, D::Error> {
                u64::deserialize(deserializer).map($from)
            }
        }
    };
}

unit!(
    /// Whole seconds.
    seconds,
    Duration::from_secs,
    as_secs
);
unit!(
    /// Whole milliseconds.
    milliseconds,
    Duration::from_millis,
    as_millis
);

/// Whole seconds that may be left out.
pub(super) mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::settings) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(|d| d.as_secs()).serialize(serializer)
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<u64>::deserialize(deserializer)?;
        Ok(seconds.map(Duration::from_secs))
    }
}

/// Whole seconds of which 0 means for ever, read as `None`.
pub(super) mod seconds_or_for_ever {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::settings) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.map_or(0, |d| d.as_secs()))
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = u64::deserialize(deserializer)?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }
}
