//! A filter client's decisions: which service nodes it subscribes at, when it asks them what, and which
//! pushes it takes. No I/O; time and chance are arguments.
//!
//! Content topics are wanted on pubsub topics. Every wanted pubsub topic has some service nodes, and each of
//! them is to know all content topics wanted there: what it lacks or has too much is asked for, one request
//! at a time. A node that fails is replaced, and rests.
//!
//! The times in which no service node knew a content topic are gaps: messages may have been missed there.

mod choice;
mod difference;
mod gap;
mod leftovers;
mod link;
mod recent;
mod rest;
mod route;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use rand_core::Rng;
use waku_proto::filter::Status;
use waku_proto::{MessageHash, PubsubTopic};

use self::choice::choose;
use self::difference::difference;
use self::leftovers::Leftovers;
use self::link::{Link, LinkId, Topics};
use self::recent::Recent;
use self::rest::Resting;
use self::route::Route;
use crate::PeerId;

pub(crate) use self::choice::Candidate;
pub use self::gap::FilterGap;

/// One moment, by the clock that never steps and by that of the calendar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    pub(crate) time: SystemTime,
}

/// How the client goes about it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Service nodes of each pubsub topic.
    pub(crate) service_peers: usize,
    /// Time between two pings of a service node.
    pub(crate) ping_interval: Duration,
}

/// Time between two requests to one peer: go-waku answers one a second.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// Time from a failed ping to the next one.
const PING_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Pings that fail in a row before a service node is replaced (P2P-RELIABILITY).
const MAX_PING_FAILURES: u32 = 2;
/// Gaps that wait to be taken. The oldest are forgotten first.
const MAX_GAPS: usize = 1024;

/// What is asked of a service node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Ping,
    Subscribe(PubsubTopic, Vec<Box<str>>),
    Unsubscribe(PubsubTopic, Vec<Box<str>>),
    UnsubscribeAll,
}

/// A question on its way. Goes back to [`Client::on_answer`] with the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) peer: PeerId,
    pub(crate) question: Question,
    link: LinkId,
}

/// Why a question was not answered with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service node said so.
    Status(Status),
    /// No proper answer came, or not in time.
    NoAnswer,
}

/// What becomes of a pushed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    New,
    /// It came before, from another service node.
    Again,
    /// Nobody asked for it there.
    Unwanted,
}

/// The state of all subscriptions.
#[derive(Debug)]
pub(crate) struct Client {
    settings: Settings,
    routes: BTreeMap<PubsubTopic, Route>,
    links: BTreeMap<PeerId, Link>,
    next_link: LinkId,
    candidates: Vec<Candidate>,
    resting: Resting,
    leftovers: Leftovers,
    recent: Recent,
    gaps: VecDeque<FilterGap>,
    /// Some pubsub topic may lack service nodes.
    is_choice_due: bool,
    /// Other peers are used, or they know other topics.
    is_changed: bool,
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            routes: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: LinkId::default(),
            candidates: Vec::new(),
            resting: Resting::default(),
            leftovers: Leftovers::default(),
            recent: Recent::default(),
            gaps: VecDeque::new(),
            is_choice_due: false,
            is_changed: false,
        }
    }

    /// Wants a content topic, once more or for the first time.
    pub(crate) fn want(&mut self, pubsub_topic: &PubsubTopic, topic: &str) {
        let route = self.routes.entry(pubsub_topic.clone()).or_default();
        if route.want(topic) {
            self.is_choice_due = true;
            self.route_changed(pubsub_topic);
        }
    }

    /// Wants a content topic once less.
    pub(crate) fn unwant(&mut self, pubsub_topic: &PubsubTopic, topic: &str) {
        let Some(route) = self.routes.get_mut(pubsub_topic) else {
            return;
        };
        if !route.unwant(topic) {
            return;
        }
        self.route_changed(pubsub_topic);
        if self.routes.get(pubsub_topic).is_some_and(Route::is_empty) {
            self.routes.remove(pubsub_topic);
        }
    }

    /// How many content topics are wanted, on all pubsub topics together.
    pub(crate) fn wanted(&self) -> usize {
        self.routes.values().map(Route::len).sum()
    }

    fn route_changed(&mut self, pubsub_topic: &PubsubTopic) {
        self.is_changed = true;
        let Some(route) = self.routes.get(pubsub_topic) else {
            return;
        };
        for peer in &route.peers {
            if let Some(link) = self.links.get_mut(peer) {
                link.is_settled = false;
            }
        }
    }

    /// The connected peers that serve filter are these now.
    pub(crate) fn on_candidates(&mut self, candidates: Vec<Candidate>, now: Now) {
        let find = |peer| candidates.iter().find(|candidate| candidate.peer() == peer);
        // A peer that was gone in between may have forgotten us, and has certainly not reached us.
        let is_gone = |link: &&Link| {
            find(link.peer).is_none_or(|candidate| candidate.info.connected_since != link.connected_since)
        };
        let gone: Vec<PeerId> = self.links.values().filter(is_gone).map(|link| link.peer).collect();
        self.resting.retain(|peer| find(*peer).is_some(), now.at);
        // One that turns out to be on other shards has nothing for us there.
        for (pubsub_topic, route) in &mut self.routes {
            route.peers.retain(|peer| {
                let is_able = find(*peer).is_some_and(|candidate| candidate.may_serve(pubsub_topic));
                if let Some(link) = self.links.get_mut(peer).filter(|_| !is_able) {
                    link.is_settled = false;
                }
                is_able
            });
        }
        self.candidates = candidates;
        for peer in gone {
            self.unlink(peer, now);
        }
        self.is_choice_due = true;
    }

    /// The next question to ask, if there is one now.
    pub(crate) fn next_ask(&mut self, now: Now, rng: &mut impl Rng) -> Option<Ask> {
        if std::mem::take(&mut self.is_choice_due) || self.resting.has_ended(now.at) {
            self.choose_peers(now, rng);
        }
        let peers: Vec<PeerId> =
            self.links.values().filter(|link| link.may_ask(now.at)).map(|link| link.peer).collect();
        peers.into_iter().find_map(|peer| self.question_for(peer, now.at))
    }

    /// When to call [`Client::next_ask`] if nothing happens before.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let links = self.links.values().filter_map(Link::next_wake);
        links.chain(self.resting.next_end().filter(|_| self.lacks_peers())).min()
    }

    fn lacks_peers(&self) -> bool {
        self.lacking().next().is_some()
    }

    /// The pubsub topics that have fewer service nodes than they should have.
    pub(crate) fn lacking(&self) -> impl Iterator<Item = &PubsubTopic> {
        let lacks = |route: &Route| route.peers.len() < self.settings.service_peers;
        self.routes.iter().filter(move |(_, route)| lacks(route)).map(|(pubsub_topic, _)| pubsub_topic)
    }

    /// Gives every pubsub topic as many service nodes as it should have.
    fn choose_peers(&mut self, now: Now, rng: &mut impl Rng) {
        self.resting.wake(now.at);
        self.is_changed = true;
        for (pubsub_topic, route) in &mut self.routes {
            while route.peers.len() < self.settings.service_peers {
                let is_free = |candidate: &&Candidate| {
                    !route.peers.contains(&candidate.peer())
                        && !self.resting.contains(&candidate.peer())
                        && self.links.get(&candidate.peer()).is_none_or(|link| !link.is_leaving)
                };
                let free: Vec<&Candidate> = self.candidates.iter().filter(is_free).collect();
                let is_taken = |candidate: &&Candidate| route.peers.contains(&candidate.peer());
                let taken: Vec<&Candidate> = self.candidates.iter().filter(is_taken).collect();
                let Some(chosen) = choose(&free, &taken, pubsub_topic, rng) else {
                    break;
                };
                route.peers.insert(chosen.peer());
                let link = self.links.entry(chosen.peer()).or_insert_with(|| {
                    self.next_link = self.next_link.next();
                    let topics = self.leftovers.take(chosen.peer());
                    Link::new(self.next_link, chosen, topics, self.settings.ping_interval, now)
                });
                link.is_settled = false;
            }
        }
    }

    /// What a service node is to be asked now.
    fn question_for(&mut self, peer: PeerId, now: Instant) -> Option<Ask> {
        let link = self.links.get_mut(&peer)?;
        let question = if link.is_leaving {
            Some(Question::UnsubscribeAll)
        } else {
            let open = if link.is_settled { None } else { difference(link, &self.routes) };
            link.is_settled = open.is_none();
            open.or_else(|| (link.next_ping <= now).then_some(Question::Ping))
        };
        let is_used = || self.routes.values().any(|route| route.peers.contains(&peer));
        if link.is_settled && link.knows_nothing() && !is_used() {
            self.links.remove(&peer);
            self.is_changed = true;
            return None;
        }
        let ask = Ask { peer, question: question?, link: link.id };
        if let Question::Subscribe(pubsub_topic, topics) = &ask.question {
            link.asked(pubsub_topic, topics);
        }
        link.is_asking = true;
        Some(ask)
    }

    /// Takes the answer to a question.
    pub(crate) fn on_answer(&mut self, ask: &Ask, answer: Result<(), Failure>, now: Now) {
        let Some(link) = self.links.get_mut(&ask.peer).filter(|link| link.id == ask.link) else {
            return;
        };
        self.is_changed = true;
        link.is_asking = false;
        link.not_before = now.at + REQUEST_INTERVAL;
        if link.is_leaving {
            self.links.remove(&ask.peer);
            if matches!(answer, Ok(()) | Err(Failure::Status(Status::NotFound))) {
                self.leftovers.take(ask.peer);
            }
            return;
        }
        match (&ask.question, answer) {
            (_, Err(Failure::Status(Status::TooManyRequests))) => link.slow_down(now.at),
            (_, Ok(())) => {
                link.is_well(now, self.settings.ping_interval);
                self.on_success(ask, now);
            }
            (Question::Unsubscribe(pubsub_topic, topics), Err(Failure::Status(_))) => {
                link.forget(pubsub_topic, topics);
            }
            (Question::Ping, Err(Failure::Status(Status::NotFound))) => {
                link.next_ping = now.at + self.settings.ping_interval;
                let (topics, last_heard) = (link.take_topics(), link.last_heard);
                self.lost(ask.peer, &topics, last_heard);
            }
            (Question::Ping | Question::Unsubscribe(..), Err(_)) => {
                link.ping_failures += 1;
                link.not_before = now.at + PING_AGAIN_AFTER;
                if link.ping_failures >= MAX_PING_FAILURES {
                    self.replace(ask.peer, now);
                }
            }
            (Question::Subscribe(..), Err(_)) => self.replace(ask.peer, now),
            (Question::UnsubscribeAll, Err(_)) => {}
        }
    }

    fn on_success(&mut self, ask: &Ask, now: Now) {
        let Some(link) = self.links.get_mut(&ask.peer) else {
            return;
        };
        match &ask.question {
            Question::Subscribe(pubsub_topic, topics) => {
                link.learn(pubsub_topic, topics, now.time);
                self.resting.forgive(&ask.peer);
                let closed = self.routes.get(pubsub_topic).and_then(|route| {
                    let others: Vec<&Link> =
                        self.links.values().filter(|link| link.peer != ask.peer).collect();
                    gap::closed(pubsub_topic, route, topics, &others, now.time)
                });
                self.note(closed);
            }
            Question::Unsubscribe(pubsub_topic, topics) => link.forget(pubsub_topic, topics),
            Question::Ping | Question::UnsubscribeAll => {}
        }
    }

    /// Replaces a service node, which rests then.
    fn replace(&mut self, peer: PeerId, now: Now) {
        self.resting.add(peer, now.at);
        let Some(link) = self.links.get(&peer) else {
            return;
        };
        let mut leaving = Link::leaving(link);
        self.unlink(peer, now);
        // It may have subscribed us without our knowing.
        leaving.not_before = now.at + REQUEST_INTERVAL;
        self.links.insert(peer, leaving);
    }

    /// Lets go of a service node.
    fn unlink(&mut self, peer: PeerId, now: Now) {
        if let Some(mut link) = self.links.remove(&peer) {
            let topics = link.take_topics();
            self.lost(peer, &topics, link.last_heard);
            self.leftovers.add(peer, topics, now.at);
        }
        self.is_changed = true;
        for route in self.routes.values_mut() {
            route.peers.remove(&peer);
        }
        self.is_choice_due = true;
    }

    /// A service node that was last heard of at a time does not push these topics any more.
    fn lost(&mut self, peer: PeerId, topics: &Topics, last_heard: SystemTime) {
        for (pubsub_topic, topics) in topics {
            let known = topics.iter().filter(|(_, since)| since.is_some());
            let known: Vec<Box<str>> = known.map(|(topic, _)| topic.clone()).collect();
            let lost = self.routes.get_mut(pubsub_topic).and_then(|route| {
                let others: Vec<&Link> = self.links.values().filter(|link| link.peer != peer).collect();
                gap::lost(pubsub_topic, route, &known, last_heard, &others)
            });
            self.note(lost);
        }
    }

    fn note(&mut self, gap: Option<FilterGap>) {
        self.gaps.extend(gap);
        if self.gaps.len() > MAX_GAPS {
            self.gaps.pop_front();
        }
    }

    /// The next gap that has come to an end.
    pub(crate) fn next_gap(&mut self) -> Option<FilterGap> {
        self.gaps.pop_front()
    }

    /// Judges a message that was pushed by a peer.
    pub(crate) fn on_push(
        &mut self,
        peer: PeerId,
        pubsub_topic: &PubsubTopic,
        topic: &str,
        hash: MessageHash,
        now: SystemTime,
    ) -> Push {
        let route = self.routes.get(pubsub_topic).filter(|route| route.peers.contains(&peer));
        if !route.is_some_and(|route| route.wants(topic)) {
            return Push::Unwanted;
        }
        if let Some(link) = self.links.get_mut(&peer) {
            link.last_heard = now;
        }
        if self.is_new(hash) { Push::New } else { Push::Again }
    }

    /// True for a message that did not come before. From now on it did.
    pub(crate) fn is_new(&mut self, hash: MessageHash) -> bool {
        self.recent.insert(hash)
    }

    /// True when [`Client::awaited`] or [`Client::service_peers`] may be other than at the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// How many service nodes push a content topic.
    pub(crate) fn service_peers(&self, pubsub_topic: &PubsubTopic, topic: &str) -> usize {
        self.links.values().filter(|link| link.knows(pubsub_topic, topic)).count()
    }

    /// The peers whose pushes are wanted.
    pub(crate) fn awaited(&self) -> HashSet<PeerId> {
        self.links.values().filter(|link| !link.is_leaving).map(|link| link.peer).collect()
    }
}

#[cfg(test)]
mod tests;
