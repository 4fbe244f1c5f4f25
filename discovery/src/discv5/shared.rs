//! What the handle and the task that looks around have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::discv5::{Discv5, Enr};
use k256::ecdsa::SigningKey;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::LocalRecord;
use super::counters::Counters;
use super::error::{BootstrapError, UpdateError};
use super::search::Interest;
use crate::{Fields, FieldsError, Record};

/// What handle and driver have in common.
pub(super) struct Shared {
    /// `None` when the node has ended.
    pub(super) discv5: Mutex<Option<Discv5>>,
    pub(super) key: SigningKey,
    /// What was last asked to be in the record.
    pub(super) fields: Mutex<Fields>,
    pub(super) local: watch::Sender<LocalRecord>,
    pub(super) interest: Mutex<Arc<Interest>>,
    pub(super) bootstrap: Mutex<Vec<Enr>>,
    pub(super) counters: Mutex<Counters>,
    /// The record changed: those who know us should hear of it.
    pub(super) changed: Notify,
    pub(super) stop: CancellationToken,
}

/// What a panic of another thread left behind is whole: nothing is changed in several steps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn update(&self, fields: Fields) -> Result<LocalRecord, UpdateError> {
        let discv5 = lock(&self.discv5);
        let external = discv5.as_ref().ok_or(UpdateError::Ended)?.external_enr();
        // Held to the end: the library changes the record too.
        let mut enr = external.write();
        let mut said = lock(&self.fields);
        let effective = keep_seen_address(&said, &fields, &enr);
        let (same_seq, same) = sign(&effective, enr.seq(), &self.key)?;
        if !enr.compare_content(&same_seq) {
            let seq = enr.seq().checked_add(1).ok_or(UpdateError::Seq)?;
            let (newer, local) = sign(&effective, seq, &self.key)?;
            *enr = newer;
            self.local.send_replace(local);
            self.changed.notify_one();
        } else if self.local.borrow().left_out != same.left_out {
            self.local.send_modify(|local| local.left_out = same.left_out);
        }
        let mut interest = lock(&self.interest);
        *interest =
            Arc::new(Interest { shards: fields.shards.clone(), bootstrap: interest.bootstrap.clone() });
        *said = fields;
        Ok(self.local.borrow().clone())
    }

    /// Takes over the record if the library changed it.
    pub(super) fn record_changed(&self) {
        // Held to the end, or the record of an update meanwhile would be replaced by an older one.
        let discv5 = lock(&self.discv5);
        let Some(enr) = discv5.as_ref().map(Discv5::local_enr) else { return };
        if self.local.borrow().record.seq() >= enr.seq() {
            return;
        }
        match Record::decode(&alloy_rlp::encode(&enr)) {
            Ok(record) => self.local.send_modify(|local| local.record = record),
            Err(error) => warn!(%error, "the node's own record cannot be read"),
        }
    }

    pub(super) fn add_bootstrap_text(&self, text: &str) {
        let added = text.parse().map_err(|error| format!("{error}"));
        let added = added.and_then(|record| self.add_bootstrap(&record).map_err(|error| error.to_string()));
        if let Err(error) = added {
            lock(&self.counters).bootstrap_invalid += 1;
            warn!(record = text, error, "a bootstrap node is passed over");
        }
    }

    pub(super) fn add_bootstrap(&self, record: &Record) -> Result<(), BootstrapError> {
        let enr = library_enr(record).ok_or(BootstrapError::NotReachable)?;
        let node_id = enr.node_id().raw();
        let discv5 = lock(&self.discv5);
        let discv5 = discv5.as_ref().ok_or(BootstrapError::Ended)?;
        if discv5.local_enr().node_id().raw() == node_id {
            return Err(BootstrapError::Oneself);
        }
        if discv5.ip_mode().get_contactable_addr(&enr).is_none() {
            return Err(BootstrapError::NotReachable);
        }
        let mut interest = lock(&self.interest);
        let mut bootstrap = interest.bootstrap.clone();
        bootstrap.insert(node_id);
        *interest = Arc::new(Interest { shards: interest.shards.clone(), bootstrap });
        // A full bucket is no harm: it has others to ask.
        let _ = discv5.add_enr(enr.clone());
        lock(&self.bootstrap).push(enr);
        Ok(())
    }

    pub(super) fn interest(&self) -> Arc<Interest> {
        lock(&self.interest).clone()
    }
}

/// The fields with the address others see in place of the one said before, unless another one is to be said now.
fn keep_seen_address(before: &Fields, now: &Fields, enr: &Enr) -> Fields {
    let mut fields = now.clone();
    let seen4 = (enr.ip4(), enr.udp4());
    if (before.ip4, before.udp4) == (now.ip4, now.udp4) && seen4 != (before.ip4, before.udp4) {
        (fields.ip4, fields.udp4) = seen4;
    }
    let seen6 = (enr.ip6(), enr.udp6());
    if (before.ip6, before.udp6) == (now.ip6, now.udp6) && seen6 != (before.ip6, before.udp6) {
        (fields.ip6, fields.udp6) = seen6;
    }
    fields
}

/// Signs a record, in the library's type and in ours.
pub(super) fn sign(fields: &Fields, seq: u64, key: &SigningKey) -> Result<(Enr, LocalRecord), FieldsError> {
    let (record, left_out) = fields.sign(seq, key)?;
    let enr = library_enr(&record).ok_or(FieldsError::NotSigned)?;
    Ok((enr, LocalRecord { record, left_out }))
}

/// The same record in the library's type.
fn library_enr(record: &Record) -> Option<Enr> {
    alloy_rlp::Decodable::decode(&mut record.encode().as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(ip: [u8; 4], udp: u16) -> Fields {
        Fields { ip4: Some(ip.into()), udp4: Some(udp), ..Fields::default() }
    }

    fn enr(fields: &Fields) -> Enr {
        sign(fields, 1, &SigningKey::from_slice(&[1; 32]).unwrap()).unwrap().0
    }

    #[test]
    fn the_address_that_others_see_stays_until_another_is_given() {
        let (said, seen) = (fields([10, 0, 0, 1], 9000), fields([192, 0, 2, 1], 1234));
        let tcp = Fields { tcp4: Some(80), ..said.clone() };
        assert_eq!(keep_seen_address(&said, &tcp, &enr(&seen)), Fields { tcp4: Some(80), ..seen.clone() });
        let moved = fields([198, 51, 100, 1], 9000);
        assert_eq!(keep_seen_address(&said, &moved, &enr(&seen)), moved);
        assert_eq!(keep_seen_address(&said, &tcp, &enr(&said)), tcp);
    }
}
