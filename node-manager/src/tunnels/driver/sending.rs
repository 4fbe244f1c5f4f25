//! What a tunnel wants done with messages.

use waku_pairing::endpoint::CommandError;
use waku_pairing::party::DataError;
use waku_pairing::record::PairingId;
use waku_tunnel::connection::{PacketId, Transmit};
use zeroize::Zeroizing;

use super::{Driver, number};

impl Driver {
    pub(super) async fn transmit(&mut self, pairing: PairingId, transmit: Transmit) {
        match transmit {
            Transmit::Send { packet, plaintext, ephemeral } => {
                self.send(pairing, packet, plaintext, !ephemeral).await;
            }
            Transmit::Repeat(packet) => {
                let sent = self.peers.get(&pairing).and_then(|peer| peer.packets.get(&packet)).cloned();
                if let Some(sent) = sent {
                    // Of a session that has ended the party tells by itself.
                    _ = self.party.resend(pairing, sent).await;
                }
            }
            Transmit::AskStore(packet) => {
                let now = self.now();
                if let Some(peer) = self.peers.get_mut(&pairing) {
                    peer.connection.store_answered(now, packet, false);
                }
            }
            Transmit::Forget(packet) => {
                if let Some(peer) = self.peers.get_mut(&pairing) {
                    peer.packets.remove(&packet);
                }
            }
        }
    }

    async fn send(
        &mut self,
        pairing: PairingId,
        packet: Option<PacketId>,
        plaintext: Vec<u8>,
        is_kept: bool,
    ) {
        let sent = self.party.send(pairing, Zeroizing::new(plaintext), is_kept).await;
        let Some(peer) = self.peers.get_mut(&pairing) else { return };
        match sent {
            Ok(sent) if peer.session == Some(sent.session) => {
                if let Some(packet) = packet {
                    peer.connection.sealed(packet, sent.index);
                    peer.packets.insert(packet, sent);
                }
            }
            Ok(sent) => {
                // The party has moved on to another session, and its word of that is on its way.
                if let Some(packet) = packet {
                    peer.connection.seal_failed(packet);
                }
                peer.session = Some(sent.session);
                peer.connection.connected(number(sent.session));
            }
            Err(error) => {
                if !matches!(error, CommandError::Refused(DataError::Send(_))) {
                    tracing::debug!(%pairing, %error, "a message was not sent");
                }
                if let Some(packet) = packet {
                    peer.connection.seal_failed(packet);
                }
                // The next session is told of.
                peer.session = None;
                peer.connection.disconnected();
            }
        }
    }
}
