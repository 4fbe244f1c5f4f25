//! The two sides of the protocol.

/// Which side of the protocol a party is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The service on the host. It types the code in and calls first.
    NodeManager,
    /// The app. It shows the code.
    App,
}

impl Part {
    /// The other side.
    pub fn other(self) -> Self {
        match self {
            Self::NodeManager => Self::App,
            Self::App => Self::NodeManager,
        }
    }

    /// The byte that keeps the two directions' nametags apart: the type of the HELLO the part sends.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::NodeManager => 1,
            Self::App => 2,
        }
    }
}
