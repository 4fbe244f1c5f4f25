//! The pairing that was begun on the page.

use std::sync::{Arc, Mutex, PoisonError};

use qrcode::{Color, QrCode};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use zeroize::Zeroizing;

use crate::control::{Notice, Room, Watch, Who};

/// The code that is shown, if one is.
#[derive(Default)]
pub(super) struct Offer(Mutex<Option<Shown>>);

struct Shown {
    code: Zeroizing<String>,
    until: Instant,
    step: &'static str,
    peer: Option<Who>,
}

impl Offer {
    fn change(&self, change: impl FnOnce(&mut Option<Shown>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A code is shown from now on.
    pub(super) fn begin(&self, code: Zeroizing<String>, lifetime: Duration) {
        let until = Instant::now() + lifetime;
        self.change(|shown| *shown = Some(Shown { code, until, step: "waiting", peer: None }));
    }

    /// It is shown no more.
    pub(super) fn end(&self) {
        self.change(|shown| *shown = None);
    }

    /// How far it has come.
    pub(super) fn view(&self) -> Value {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map_or(Value::Null, |shown| {
            let left = shown.until.saturating_duration_since(Instant::now());
            json!({
                "code": shown.code.as_str(),
                "expires_in_s": left.as_secs(),
                "qr": rows(&shown.code),
                "step": shown.step,
                "peer": shown.peer,
            })
        })
    }
}

/// The rows of a code's QR code, 1 for dark; `None` for what fits in none.
fn rows(code: &str) -> Option<Vec<String>> {
    let qr = QrCode::new(code).ok()?;
    let module = |color: &Color| if *color == Color::Dark { '1' } else { '0' };
    Some(qr.to_colors().chunks(qr.width()).map(|row| row.iter().map(module).collect()).collect())
}

/// Follows the pairing as long as the service lives.
pub(super) async fn follow(room: Arc<Room>, offer: Arc<Offer>) {
    let mut watch = Watch::local(&room.service);
    while let Some(notice) = watch.next().await {
        match notice {
            Notice::HelloAppReceived => offer.change(|shown| {
                if let Some(shown) = shown {
                    shown.step = "found";
                }
            }),
            Notice::AskDigits { peer } => offer.change(|shown| {
                if let Some(shown) = shown {
                    (shown.step, shown.peer) = ("digits", Some(peer));
                }
            }),
            Notice::Confirmed { .. } | Notice::PairingFailed { .. } => offer.end(),
            _ => {}
        }
    }
}
