//! Status codes in the manner of HTTP, one typed set per protocol.

/// Declares the `Status` of a protocol: its known codes, and `Other` for the rest.
macro_rules! status_codes {
    ($(#[$outer:meta])* pub enum Status { $($(#[$doc:meta])* $name:ident = $code:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Status {
            $($(#[$doc])* $name,)+
            /// A code this crate has no name for.
            Other(u32),
        }

        impl Status {
            /// The number on the wire.
            pub fn code(self) -> u32 {
                match self {
                    $(Self::$name => $code,)+
                    Self::Other(code) => code,
                }
            }

            /// True for codes from 200 to 299.
            pub fn is_success(self) -> bool {
                (200..300).contains(&self.code())
            }
        }

        impl From<u32> for Status {
            fn from(code: u32) -> Self {
                match code {
                    $($code => Self::$name,)+
                    code => Self::Other(code),
                }
            }
        }

        impl core::fmt::Display for Status {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $(Self::$name => write!(f, "{} {}", $code, stringify!($name)),)+
                    Self::Other(code) => write!(f, "{code}"),
                }
            }
        }
    };
}

pub(crate) use status_codes;
