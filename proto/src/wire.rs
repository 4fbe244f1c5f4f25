//! What every protobuf message of this crate can do.

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;

/// A message that goes over the wire as protobuf.
///
/// `Generated` is the layout on the wire, one of [`crate::generated`]; the implementing type holds the
/// meaning. Converting to the layout sets every field that deployed decoders need.
pub trait Wire: Sized {
    /// The layout on the wire.
    type Generated: prost::Message + Default + From<Self>;

    /// Reads the meaning out of the layout.
    ///
    /// # Errors
    /// When a field whose meaning cannot be guessed is absent or has a value outside its range.
    fn from_generated(generated: Self::Generated) -> Result<Self, WireError>;

    /// The protobuf bytes, without a length prefix.
    fn encode(self) -> Bytes {
        Bytes::from(Self::Generated::from(self).encode_to_vec())
    }

    /// Reads protobuf bytes. Byte fields of the result share the memory of `bytes`.
    ///
    /// # Errors
    /// As [`Wire::from_generated`], and when the bytes are not protobuf of this layout.
    fn decode(bytes: Bytes) -> Result<Self, WireError> {
        Self::from_generated(Self::Generated::decode(bytes)?)
    }
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// Not protobuf of this layout.
    #[error("malformed protobuf: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field that has no sensible default is absent.
    #[error("field `{field}` is absent")]
    Missing {
        /// Name of the field in the `.proto` file.
        field: &'static str,
    },
    /// A number or enum value outside its range.
    #[error("field `{field}` has the value {value}, which it cannot have")]
    OutOfRange {
        /// Name of the field in the `.proto` file.
        field: &'static str,
        /// The value found.
        value: i64,
    },
    /// A byte field of a fixed size has another one.
    #[error("field `{field}` has {found} bytes instead of {expected}")]
    WrongLength {
        /// Name of the field in the `.proto` file.
        field: &'static str,
        /// Length found, in bytes.
        found: usize,
        /// Length wanted, in bytes.
        expected: usize,
    },
}

/// The value of a field that must be present.
pub(crate) fn required<T>(value: Option<T>, field: &'static str) -> Result<T, WireError> {
    value.ok_or(WireError::Missing { field })
}

/// A byte field of exactly `N` bytes.
pub(crate) fn fixed<const N: usize>(value: &[u8], field: &'static str) -> Result<[u8; N], WireError> {
    value.try_into().map_err(|_| WireError::WrongLength { field, found: value.len(), expected: N })
}

/// A `u16` carried in a `uint32` field.
pub(crate) fn small(value: u32, field: &'static str) -> Result<u16, WireError> {
    u16::try_from(value).map_err(|_| WireError::OutOfRange { field, value: value.into() })
}

/// Absent and empty strings mean the same in optional fields: js-waku sends empty ones.
pub(crate) fn non_empty(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}
