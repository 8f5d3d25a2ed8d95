//! How inputs and outputs become bytes. The only file that names bincode.

use std::any::type_name;

use bincode::Options;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{BoxError, Error, ErrorKind, Result};

/// How a store's inputs and outputs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Codec {
    /// bincode 1.3: small and fast; the default.
    #[default]
    Bincode,
    /// JSON: larger and slower, but readable by eye and by every language.
    Json,
}

/// What a codec does; one implementation for each [`Codec`].
trait Encoding {
    fn write<T: Serialize>(value: &T, limit: u64, buffer: &mut Vec<u8>) -> std::result::Result<(), BoxError>;
    fn read<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<T, BoxError>;
}

struct BincodeEncoding;

impl Encoding for BincodeEncoding {
    fn write<T: Serialize>(value: &T, limit: u64, buffer: &mut Vec<u8>) -> std::result::Result<(), BoxError> {
        bincode_options()
            .with_limit(limit)
            .serialize_into(buffer, value)
            .map_err(Into::into)
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<T, BoxError> {
        // From a slice, so that a length in the bytes can never ask for more memory than there are bytes.
        bincode_options()
            .with_limit(bytes.len() as u64)
            .deserialize(bytes)
            .map_err(Into::into)
    }
}

fn bincode_options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .reject_trailing_bytes()
}

struct JsonEncoding;

impl Encoding for JsonEncoding {
    fn write<T: Serialize>(
        value: &T,
        _limit: u64,
        buffer: &mut Vec<u8>,
    ) -> std::result::Result<(), BoxError> {
        serde_json::to_writer(buffer, value).map_err(Into::into)
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<T, BoxError> {
        serde_json::from_slice(bytes).map_err(Into::into)
    }
}

impl Codec {
    /// The byte that stands for the codec in a record's header.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Codec::Bincode => 1,
            Codec::Json => 2,
        }
    }

    /// Appends the value's bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] beyond `limit` bytes; [`ErrorKind::Codec`] if the value cannot be written. What
    /// was appended until then is left in the buffer.
    pub(crate) fn encode<T: Serialize>(self, value: &T, limit: u64, buffer: &mut Vec<u8>) -> Result<()> {
        let start = buffer.len();
        let written = match self {
            Codec::Bincode => BincodeEncoding::write(value, limit, buffer),
            Codec::Json => JsonEncoding::write(value, limit, buffer),
        };
        let length = (buffer.len() - start) as u64;
        let too_large = || {
            let step = format!(
                "a `{}` is larger than the store's limit of {limit} bytes",
                type_name::<T>()
            );
            Error::new(ErrorKind::TooLarge, step).with_hint(
                "make the store with a larger `max_record`, or keep large data in files of its own",
            )
        };
        match written {
            Ok(()) if length <= limit => Ok(()),
            Ok(()) => Err(too_large()),
            Err(cause) if is_size_limit(cause.as_ref()) => Err(too_large()),
            Err(cause) => {
                let step = format!("cannot write a `{}` as {}", type_name::<T>(), self.name());
                Err(Error::new(ErrorKind::Codec, step).because(cause))
            }
        }
    }

    /// Reads a value from exactly these bytes, which were written by the codec with this byte.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`]: the text names the type and what did not fit.
    pub(crate) fn decode<T: DeserializeOwned>(byte: u8, bytes: &[u8]) -> Result<T> {
        let read = match byte {
            1 => BincodeEncoding::read(bytes),
            2 => JsonEncoding::read(bytes),
            other => Err(format!("unknown codec {other}").into()),
        };
        read.map_err(|cause| {
            let step = format!("{} bytes do not decode as `{}`", bytes.len(), type_name::<T>());
            Error::new(ErrorKind::Codec, step)
                .because(cause)
                .with_hint("master and workers must be built from the same types")
        })
    }

    /// Returns the name that `store.json` has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Codec::Bincode => "bincode",
            Codec::Json => "json",
        }
    }
}

fn is_size_limit(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause
        .downcast_ref::<bincode::Error>()
        .map(|error| matches!(**error, bincode::ErrorKind::SizeLimit))
        .or_else(|| {
            cause
                .downcast_ref::<bincode::ErrorKind>()
                .map(|error| matches!(error, bincode::ErrorKind::SizeLimit))
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        name: String,
        values: Vec<f64>,
    }

    fn sample() -> Sample {
        Sample {
            name: "größe; rm -rf".into(),
            values: vec![0.1, f64::MAX, -0.0],
        }
    }

    #[test]
    fn both_codecs_give_back_what_they_were_given() {
        for codec in [Codec::Bincode, Codec::Json] {
            let mut bytes = Vec::new();
            codec.encode(&sample(), 1000, &mut bytes).unwrap();
            assert_eq!(Codec::decode::<Sample>(codec.byte(), &bytes).unwrap(), sample());
        }
    }

    #[test]
    fn a_length_bomb_is_an_error() {
        let bytes = [0xff; 16];
        let error = Codec::decode::<Vec<String>>(1, &bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
    }

    #[test]
    fn bytes_of_another_type_are_an_error_that_names_the_type() {
        let mut bytes = Vec::new();
        Codec::Bincode.encode(&7u64, 1000, &mut bytes).unwrap();
        bytes.push(0);
        let error = Codec::decode::<u64>(1, &bytes).unwrap_err();
        assert!(
            error.to_string().contains("9 bytes do not decode as `u64`"),
            "{error}"
        );
        assert!(
            Codec::decode::<u64>(9, &bytes)
                .unwrap_err()
                .to_string()
                .contains("unknown codec 9")
        );
    }

    #[test]
    fn the_size_limit_holds_for_both() {
        for codec in [Codec::Bincode, Codec::Json] {
            let error = codec.encode(&vec![7u8; 100], 50, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{codec:?}: {error}");
        }
    }
}
