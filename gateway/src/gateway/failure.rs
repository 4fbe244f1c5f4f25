//! Why a request that the policy allows has no answer of the service.

use thiserror::Error;

use crate::audit::RecordError;
use crate::policy::{Refusal, Service};
use crate::upstream::{BodyError, CallError, TokenError, UploadError};

#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Refused(Refusal),
    #[error("this pairing has as many requests under way as it may: wait for an answer")]
    PeerBusy,
    #[error("the service is busy: try again")]
    ServiceBusy,
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("{0}: nothing was changed")]
    Audit(RecordError),
    #[error("{0}")]
    Call(CallError),
    #[error("{0}")]
    Upload(UploadError),
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the selected series are too many: name fewer in the query, as `?series=…`")]
    TooManySeries,
    #[error("`series` has something that is no name of a metric")]
    Series,
    #[error("it does not answer with a stream of events")]
    NoEvents,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLong(most) => Self::Refused(Refusal::BodyTooLarge(most)),
            error => Self::Upload(error),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Upload(error) => error.into(),
            error => Self::Call(error),
        }
    }
}

impl Failure {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::PeerBusy => 429,
            Self::ServiceBusy | Self::Audit(_) => 503,
            Self::Token(_) => 500,
            Self::Upload(UploadError::TooSlow) => 408,
            Self::Upload(_) | Self::Series => 400,
            Self::Call(CallError::TimedOut) | Self::Body(BodyError::TimedOut) => 504,
            Self::Call(_) | Self::Body(_) | Self::TooManySeries | Self::NoEvents => 502,
        }
    }

    /// Whether the service heard nothing of the request.
    pub(super) fn is_before_the_service(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::PeerBusy | Self::ServiceBusy | Self::Token(_) | Self::Audit(_)
        )
    }

    /// Whether it was never sent: then the service did nothing.
    pub(super) fn is_unsent(&self) -> bool {
        self.is_before_the_service() || matches!(self, Self::Call(CallError::Down(_)))
    }

    /// What happened, where, and what to look at.
    pub(super) fn text(&self, service: &Service) -> String {
        let (name, base) = (&service.name, &service.base);
        match self {
            Self::Call(CallError::Down(error)) => format!(
                "the service `{name}` cannot be reached at {base} ({}): check on the host that it runs and listens there",
                error.kind()
            ),
            Self::Call(CallError::TimedOut) | Self::Body(BodyError::TimedOut) => format!(
                "the service `{name}` at {base} did not answer in time: it may be busy or hang; look at its log on the host"
            ),
            Self::Call(_) | Self::Body(_) | Self::NoEvents => {
                format!("the service `{name}` at {base} gave no answer that can be passed on: {self}")
            }
            Self::Token(_) | Self::ServiceBusy => format!("service `{name}`: {self}"),
            _ => self.to_string(),
        }
    }
}
