//! Why a request is not passed on.

use thiserror::Error;

use super::grant::Grant;
use super::rule::Method;
use super::target::TargetError;

/// A request that reaches no service. Its text is for the person in front of the app.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// 400, or 414 when it is too long.
    #[error("{0}")]
    Target(#[from] TargetError),
    /// 400.
    #[error("a header has a character that is not accepted, or is there twice")]
    OddHeader,
    /// 403.
    #[error(
        "this needs the grant `{0}`, which the pairing does not have: `node-manager peers grant` gives it"
    )]
    Grant(Grant),
    /// 403.
    #[error("the query parameter `{0}` is not on the list for this path")]
    Parameter(String),
    /// 400.
    #[error("the query has to name `{0}`")]
    Missing(String),
    /// 403.
    #[error("the topic `{0}` is not on the list for this path")]
    Topic(String),
    /// 403.
    #[error("{0}")]
    JsonRpc(#[from] JsonRpcRefusal),
    /// 404.
    #[error("this path is not on the list of what the host answers")]
    NotListed,
    /// 405; what is allowed.
    #[error("the path does not take this method")]
    Method(Vec<Method>),
    /// 413; the limit in bytes.
    #[error("the body is longer than the {0} bytes this path takes")]
    BodyTooLarge(u64),
    /// 431.
    #[error("the request has too many headers, or too long ones")]
    HeadersTooLarge,
    /// 400.
    #[error("this path is a stream of events: subscribe to it")]
    OnlySubscribed,
    /// 400.
    #[error("this path is no stream of events: it cannot be subscribed to")]
    NotSubscribed,
}

/// A JSON-RPC body that is not passed on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonRpcRefusal {
    /// No single call with a method, an id and no parameters.
    #[error("the body is not one JSON-RPC 2.0 call without parameters")]
    Shape,
    /// Another method.
    #[error("the JSON-RPC method `{0}` is not on the list")]
    Method(String),
}

impl Refusal {
    /// The status that says so.
    pub fn status(&self) -> u16 {
        match self {
            Self::Target(TargetError::TooLong) => 414,
            Self::Target(_)
            | Self::OddHeader
            | Self::Missing(_)
            | Self::OnlySubscribed
            | Self::NotSubscribed => 400,
            Self::Grant(_) | Self::Parameter(_) | Self::Topic(_) | Self::JsonRpc(_) => 403,
            Self::NotListed => 404,
            Self::Method(_) => 405,
            Self::BodyTooLarge(_) => 413,
            Self::HeadersTooLarge => 431,
        }
    }
}
