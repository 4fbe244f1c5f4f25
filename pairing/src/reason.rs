//! Why a pairing did not come about, or no longer stands, in one byte on the wire.

/// A reason for a REJECT, in a HELLO or in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A reason this version does not know.
    Other,
    /// Two machines answered to one code.
    TwoMachines,
    /// A person ended it.
    Cancelled,
    /// The code was used before, or its ten minutes are over.
    CodeSpent,
    /// The clocks of the two machines are too far apart.
    ClockSkew,
    /// The six digits differ.
    WrongDigits,
    /// One side requires the six digits to be compared, the other did not compare them.
    NotCompared,
    /// The manager did not open what it had committed to.
    WrongOpening,
    /// The pairing was ended by `unpair`, or by its expiry.
    Unpaired,
}

impl Reason {
    const ALL: [Self; 9] = [
        Self::Other,
        Self::TwoMachines,
        Self::Cancelled,
        Self::CodeSpent,
        Self::ClockSkew,
        Self::WrongDigits,
        Self::NotCompared,
        Self::WrongOpening,
        Self::Unpaired,
    ];
}

impl From<Reason> for u8 {
    fn from(reason: Reason) -> Self {
        reason as Self
    }
}

impl From<u8> for Reason {
    fn from(byte: u8) -> Self {
        Self::ALL.into_iter().find(|reason| u8::from(*reason) == byte).unwrap_or(Self::Other)
    }
}
