use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::choice::tests::candidate;
use super::*;
use waku_proto::filter::MAX_CONTENT_TOPICS;

const PING_INTERVAL: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    client: Client,
    rng: ChaCha8Rng,
    start: Now,
    now: Now,
    candidates: Vec<Candidate>,
}

impl Scene {
    /// A client with so many service nodes, each at its own address.
    fn new(count: u8) -> Self {
        let settings = Settings { service_peers: 2, ping_interval: PING_INTERVAL };
        let now = Now { at: Instant::now(), time: SystemTime::UNIX_EPOCH };
        let candidates = (0..count).map(|number| candidate(&format!("/ip4/192.0.2.{number}/tcp/1"), &[0, 1]));
        let candidates: Vec<_> = candidates.collect();
        let rng = ChaCha8Rng::seed_from_u64(count.into());
        let mut scene = Self { client: Client::new(settings), rng, start: now, now, candidates };
        scene.show_candidates();
        scene
    }

    fn show_candidates(&mut self) {
        self.client.on_candidates(self.candidates.clone(), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.time += time;
    }

    /// Seconds since the start.
    fn seconds(&self, time: SystemTime) -> u64 {
        time.duration_since(self.start.time).unwrap().as_secs()
    }

    fn want(&mut self, topics: &[&str]) {
        for topic in topics {
            self.client.want(&pubsub(), topic);
        }
    }

    fn ask(&mut self) -> Option<Ask> {
        self.client.next_ask(self.now, &mut self.rng)
    }

    fn answer(&mut self, ask: &Ask, answer: Result<(), Failure>) {
        self.client.on_answer(ask, answer, self.now);
    }

    /// Everything asked until nothing is for this long; answered as told.
    fn run(&mut self, time: Duration, mut answer: impl FnMut(&Ask) -> Result<(), Failure>) -> Vec<Ask> {
        let (end, mut asked) = (self.now.at + time, Vec::new());
        loop {
            while let Some(ask) = self.ask() {
                self.answer(&ask, answer(&ask));
                asked.push(ask);
            }
            match self.client.next_wake() {
                Some(wake) if wake <= end => self.pass(wake.saturating_duration_since(self.now.at)),
                _ => {
                    self.pass(end.saturating_duration_since(self.now.at));
                    return asked;
                }
            }
        }
    }

    /// As [`Scene::run`], with everything answered well.
    fn run_well(&mut self, time: Duration) -> Vec<Ask> {
        self.run(time, |_| Ok(()))
    }

    /// A client that has subscribed to `/a` at two service nodes.
    fn subscribed(count: u8) -> (Self, PeerId, PeerId) {
        let mut scene = Self::new(count);
        scene.want(&["/a"]);
        let asked = scene.run_well(SECOND);
        let [a, b] = &asked[..] else { panic!("{asked:?}") };
        let (a, b) = (a.peer, b.peer);
        (scene, a, b)
    }

    fn push(&mut self, peer: PeerId, topic: &str, number: u8) -> Push {
        self.client.on_push(peer, &pubsub(), topic, [number; 32].into(), self.now.time)
    }

    fn lose(&mut self, peer: PeerId) {
        self.candidates.retain(|candidate| candidate.peer() != peer);
        self.show_candidates();
    }

    fn gaps(&mut self) -> Vec<(u64, u64)> {
        let gaps: Vec<_> = std::iter::from_fn(|| self.client.next_gap()).collect();
        gaps.iter().map(|gap| (self.seconds(gap.from), self.seconds(gap.to))).collect()
    }
}

fn pubsub() -> PubsubTopic {
    "/waku/2/rs/0/0".parse().unwrap()
}

fn status(status: Status) -> Result<(), Failure> {
    Err(Failure::Status(status))
}

fn topics(question: &Question) -> &[Box<str>] {
    match question {
        Question::Subscribe(_, topics) | Question::Unsubscribe(_, topics) => topics,
        Question::Ping | Question::UnsubscribeAll => &[],
    }
}

fn peers(asked: &[Ask]) -> Vec<PeerId> {
    asked.iter().map(|ask| ask.peer).collect()
}

#[test]
fn subscribes_at_two_service_nodes_and_no_more() {
    let mut scene = Scene::new(5);
    scene.want(&["/a", "/b"]);
    let asked = scene.run_well(10 * SECOND);
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0].peer, asked[1].peer);
    for ask in &asked {
        assert_eq!(ask.question, Question::Subscribe(pubsub(), vec!["/a".into(), "/b".into()]));
    }
    assert_eq!(scene.client.awaited(), peers(&asked).into_iter().collect());
}

#[test]
fn pushes_are_wanted_from_a_peer_as_soon_as_it_is_asked() {
    let mut scene = Scene::new(1);
    scene.want(&["/a"]);
    let ask = scene.ask().unwrap();
    assert_eq!(scene.client.awaited(), HashSet::from([ask.peer]));
    assert_eq!(scene.push(ask.peer, "/a", 1), Push::New);
}

#[test]
fn asks_for_a_hundred_topics_at_a_time_and_one_request_a_second() {
    let mut scene = Scene::new(1);
    let names: Vec<String> = (0..250).map(|number| format!("/{number}")).collect();
    scene.want(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut sizes, mut times) = (Vec::new(), Vec::new());
    let start = scene.now.at;
    while scene.now.at < start + 10 * SECOND {
        while let Some(ask) = scene.ask() {
            sizes.push(topics(&ask.question).len());
            times.push((scene.now.at - start).as_secs());
            scene.answer(&ask, Ok(()));
        }
        scene.pass(Duration::from_millis(100));
    }
    assert_eq!((sizes, times), (vec![100, 100, 100], vec![0, 1, 2]));
}

#[test]
fn one_question_is_on_its_way_to_a_peer_at_a_time() {
    let mut scene = Scene::new(1);
    scene.want(&["/a"]);
    let ask = scene.ask().unwrap();
    scene.want(&["/b"]);
    scene.pass(10 * SECOND);
    assert_eq!(scene.ask(), None);
    scene.answer(&ask, Ok(()));
    scene.pass(SECOND);
    // With what it knows already: it may have forgotten that.
    assert_eq!(scene.ask().unwrap().question, Question::Subscribe(pubsub(), vec!["/b".into(), "/a".into()]));
}

#[test]
fn topics_added_and_removed_later_are_told_to_every_service_node() {
    let (mut scene, a, b) = Scene::subscribed(2);
    scene.want(&["/b"]);
    scene.client.unwant(&pubsub(), "/a");
    let asked = scene.run_well(5 * SECOND);
    for peer in [a, b] {
        let questions: Vec<_> =
            asked.iter().filter(|ask| ask.peer == peer).map(|ask| &ask.question).collect();
        let subscribe = Question::Subscribe(pubsub(), vec!["/b".into()]);
        assert_eq!(questions, [&subscribe, &Question::Unsubscribe(pubsub(), vec!["/a".into()])]);
    }
    assert_eq!((scene.push(a, "/a", 1), scene.push(a, "/b", 2)), (Push::Unwanted, Push::New));
}

#[test]
fn a_topic_is_wanted_as_long_as_it_has_a_user() {
    let (mut scene, ..) = Scene::subscribed(2);
    scene.want(&["/a"]);
    scene.client.unwant(&pubsub(), "/a");
    assert_eq!(scene.run_well(10 * SECOND), []);
    assert_eq!(scene.client.wanted(), 1);
    scene.client.unwant(&pubsub(), "/a");
    let asked = scene.run_well(10 * SECOND);
    assert_eq!(asked.len(), 2);
    for ask in asked {
        assert_eq!(ask.question, Question::Unsubscribe(pubsub(), vec!["/a".into()]));
    }
    // And nobody is asked anything any more.
    assert_eq!(scene.client.next_wake(), None);
    assert_eq!(scene.client.awaited(), HashSet::new());
    assert_eq!(scene.run_well(10 * PING_INTERVAL), []);
}

#[test]
fn unsubscribing_ends_whatever_the_peer_says() {
    for answer in [status(Status::NotFound), status(Status::BadRequest)] {
        let (mut scene, ..) = Scene::subscribed(2);
        scene.client.unwant(&pubsub(), "/a");
        assert_eq!(scene.run(10 * SECOND, |_| answer).len(), 2);
        assert_eq!(scene.client.next_wake(), None);
    }
    // One that says nothing is told twice, then that it is over.
    let (mut scene, ..) = Scene::subscribed(2);
    scene.client.unwant(&pubsub(), "/a");
    let asked = scene.run(20 * SECOND, |_| Err(Failure::NoAnswer));
    let last = asked.iter().filter(|ask| ask.question == Question::UnsubscribeAll);
    assert_eq!((asked.len(), last.count(), scene.client.next_wake()), (6, 2, None));
}

#[test]
fn a_peer_that_comes_back_is_told_what_is_not_wanted_any_more() {
    let (mut scene, a, _) = Scene::subscribed(2);
    let all = scene.candidates.clone();
    scene.lose(a);
    scene.want(&["/b"]);
    scene.client.unwant(&pubsub(), "/a");
    scene.run_well(5 * SECOND);
    scene.candidates = all;
    scene.show_candidates();
    let asked = scene.run_well(5 * SECOND);
    let questions: Vec<_> = asked.iter().map(|ask| (ask.peer, &ask.question)).collect();
    let subscribe = Question::Subscribe(pubsub(), vec!["/b".into()]);
    assert_eq!(questions, [(a, &subscribe), (a, &Question::Unsubscribe(pubsub(), vec!["/a".into()]))]);
}

#[test]
fn pings_every_service_node_once_a_minute() {
    let (mut scene, a, b) = Scene::subscribed(2);
    let asked = scene.run_well(5 * PING_INTERVAL);
    assert!(asked.iter().all(|ask| ask.question == Question::Ping));
    for peer in [a, b] {
        assert_eq!(asked.iter().filter(|ask| ask.peer == peer).count(), 5);
    }
}

#[test]
fn one_failed_ping_is_forgiven_and_the_second_in_a_row_replaces_the_peer() {
    let (mut scene, a, b) = Scene::subscribed(3);
    let third = scene.candidates.iter().find(|other| ![a, b].contains(&other.peer())).unwrap().peer();
    let mut pings = 0;
    scene.run(2 * PING_INTERVAL + 15 * SECOND, |ask| {
        pings += usize::from(ask.peer == a);
        if ask.peer == a && pings % 2 == 1 { Err(Failure::NoAnswer) } else { Ok(()) }
    });
    assert_eq!((pings, scene.client.awaited()), (4, HashSet::from([a, b])));

    let asked = scene
        .run(PING_INTERVAL + 15 * SECOND, |ask| if ask.peer == a { Err(Failure::NoAnswer) } else { Ok(()) });
    assert_eq!(scene.client.awaited(), HashSet::from([b, third]));
    let at_third = asked.iter().find(|ask| ask.peer == third).unwrap();
    assert_eq!(at_third.question, Question::Subscribe(pubsub(), vec!["/a".into()]));
    // The one that failed is told, if it hears.
    let last_at_a = asked.iter().rfind(|ask| ask.peer == a).unwrap();
    assert_eq!(last_at_a.question, Question::UnsubscribeAll);
    assert_eq!(scene.push(a, "/a", 1), Push::Unwanted);
}

#[test]
fn a_peer_that_refuses_a_subscription_is_replaced_and_rests() {
    for answer in [status(Status::Unavailable), status(Status::BadRequest), Err(Failure::NoAnswer)] {
        let mut scene = Scene::new(3);
        scene.want(&["/a"]);
        let bad = scene.ask().unwrap();
        scene.answer(&bad, answer);
        let good = scene.run_well(5 * SECOND);
        assert_eq!(good.iter().filter(|ask| ask.peer == bad.peer).count(), 1, "not told to unsubscribe");
        assert_eq!(scene.client.awaited().len(), 2);
        assert!(!scene.client.awaited().contains(&bad.peer));
    }
}

#[test]
fn the_only_service_node_is_tried_again_after_longer_and_longer_rests() {
    let mut scene = Scene::new(1);
    scene.want(&["/a"]);
    let (mut tries, start) = (Vec::new(), scene.now.at);
    while scene.now.at < start + 120 * SECOND {
        while let Some(ask) = scene.ask() {
            if matches!(ask.question, Question::Subscribe(..)) {
                tries.push((scene.now.at - start).as_secs());
            }
            scene.answer(&ask, status(Status::Unavailable));
        }
        scene.pass(Duration::from_millis(500));
    }
    assert_eq!(tries, [0, 10, 30, 70]);
}

#[test]
fn a_peer_that_is_asked_too_often_is_kept_and_asked_later_and_later() {
    let mut scene = Scene::new(1);
    scene.want(&["/a"]);
    let (mut tries, start) = (Vec::new(), scene.now.at);
    while scene.now.at < start + 100 * SECOND {
        while let Some(ask) = scene.ask() {
            tries.push((scene.now.at - start).as_secs());
            let answer = if tries.len() < 4 { status(Status::TooManyRequests) } else { Ok(()) };
            scene.answer(&ask, answer);
        }
        scene.pass(SECOND);
    }
    // After 5, 10 and 20 seconds; then a ping.
    assert_eq!(tries, [0, 5, 15, 35, 95]);
}

#[test]
fn a_peer_that_has_forgotten_us_is_subscribed_at_again() {
    let (mut scene, a, _) = Scene::subscribed(2);
    let mut has_forgotten = false;
    let asked = scene.run(PING_INTERVAL + 5 * SECOND, |ask| {
        let forgets = ask.peer == a && !has_forgotten;
        has_forgotten |= forgets;
        if forgets { status(Status::NotFound) } else { Ok(()) }
    });
    let questions: Vec<_> = asked.iter().filter(|ask| ask.peer == a).map(|ask| &ask.question).collect();
    assert_eq!(questions, [&Question::Ping, &Question::Subscribe(pubsub(), vec!["/a".into()])]);
    // The other one has pushed meanwhile.
    assert_eq!(scene.gaps(), []);
}

#[test]
fn a_peer_that_disconnects_is_replaced_at_once() {
    let (mut scene, a, b) = Scene::subscribed(3);
    scene.lose(a);
    let ask = scene.ask().unwrap();
    assert!(![a, b].contains(&ask.peer));
    assert_eq!(ask.question, Question::Subscribe(pubsub(), vec!["/a".into()]));
    scene.answer(&ask, Ok(()));
    assert_eq!(scene.push(a, "/a", 1), Push::Unwanted);
    assert_eq!(scene.gaps(), []);
}

#[test]
fn a_peer_that_was_gone_in_between_is_subscribed_at_again() {
    let (mut scene, a, _) = Scene::subscribed(2);
    scene.pass(SECOND);
    for candidate in &mut scene.candidates {
        candidate.info.connected_since += if candidate.peer() == a { SECOND } else { Duration::ZERO };
    }
    scene.show_candidates();
    let ask = scene.ask().unwrap();
    assert_eq!((ask.peer, ask.question), (a, Question::Subscribe(pubsub(), vec!["/a".into()])));
}

#[test]
fn a_peer_that_turns_out_to_be_on_other_shards_is_replaced() {
    let (mut scene, a, b) = Scene::subscribed(3);
    for candidate in &mut scene.candidates {
        candidate.info.shards = if candidate.peer() == a { vec![1] } else { vec![0] };
    }
    scene.show_candidates();
    let asked = scene.run_well(5 * SECOND);
    let at_a: Vec<_> = asked.iter().filter(|ask| ask.peer == a).map(|ask| &ask.question).collect();
    assert_eq!(at_a, [&Question::Unsubscribe(pubsub(), vec!["/a".into()])]);
    assert!(!scene.client.awaited().contains(&a) && scene.client.awaited().contains(&b));
    assert_eq!(scene.client.awaited().len(), 2);
}

#[test]
fn an_answer_that_comes_after_the_peer_was_lost_changes_nothing() {
    let mut scene = Scene::new(1);
    scene.want(&["/a"]);
    let late = scene.ask().unwrap();
    let candidates = scene.candidates.clone();
    scene.lose(late.peer);
    scene.candidates = candidates;
    scene.show_candidates();
    let again = scene.ask().unwrap();
    scene.answer(&late, Err(Failure::NoAnswer));
    assert_eq!(scene.client.awaited(), HashSet::from([late.peer]));
    scene.answer(&again, Ok(()));
    assert_eq!(scene.run_well(10 * SECOND), []);
}

#[test]
fn a_message_is_new_once_whoever_pushes_it() {
    let (mut scene, a, b) = Scene::subscribed(2);
    assert_eq!(scene.push(a, "/a", 1), Push::New);
    assert_eq!(scene.push(b, "/a", 1), Push::Again);
    assert_eq!(scene.push(a, "/a", 1), Push::Again);
    assert_eq!(scene.push(b, "/a", 2), Push::New);
}

#[test]
fn pushes_of_strangers_and_of_other_topics_are_not_wanted() {
    let (mut scene, a, _) = Scene::subscribed(2);
    assert_eq!(scene.push(PeerId::random(), "/a", 1), Push::Unwanted);
    assert_eq!(scene.push(a, "/b", 2), Push::Unwanted);
    let elsewhere = "/waku/2/rs/0/1".parse().unwrap();
    let push = scene.client.on_push(a, &elsewhere, "/a", [3; 32].into(), scene.now.time);
    assert_eq!(push, Push::Unwanted);
    // And are not remembered.
    assert_eq!(scene.push(a, "/a", 1), Push::New);
}

#[test]
fn one_peer_may_serve_two_shards_and_is_pinged_once_for_both() {
    let mut scene = Scene::new(1);
    scene.want(&["/a"]);
    scene.client.want(&"/waku/2/rs/0/1".parse().unwrap(), "/b");
    let asked = scene.run_well(PING_INTERVAL + 5 * SECOND);
    let questions: Vec<_> = asked.iter().map(|ask| matches!(ask.question, Question::Subscribe(..))).collect();
    assert_eq!(questions, [true, true, false]);
}

#[test]
fn a_gap_is_told_from_the_last_sign_of_the_last_peer_to_the_next_subscription() {
    let (mut scene, a, b) = Scene::subscribed(2);
    scene.run_well(9 * SECOND);
    assert_eq!(scene.push(a, "/a", 1), Push::New); // at 10
    scene.lose(b);
    assert_eq!(scene.gaps(), []);
    scene.pass(10 * SECOND);
    let candidates = scene.candidates.clone();
    scene.lose(a);
    assert_eq!(scene.gaps(), []);
    scene.pass(30 * SECOND);
    scene.candidates = candidates;
    scene.show_candidates();
    scene.run_well(SECOND); // subscribed at 50
    assert_eq!(scene.gaps(), [(10, 50)]);
}

#[test]
fn a_gap_between_a_peer_and_its_replacement_is_told_when_the_other_one_turns_out_dead() {
    let (mut scene, a, b) = Scene::subscribed(3);
    let dead = |peer: PeerId| move |ask: &Ask| if ask.peer == peer { Err(Failure::NoAnswer) } else { Ok(()) };
    scene.run(9 * SECOND, |_| Ok(()));
    assert_eq!(scene.push(b, "/a", 1), Push::New); // at 10
    scene.lose(b); // a is said to cover, the third one is subscribed at 10 as well
    scene.run(90 * SECOND, dead(a));
    assert_eq!(scene.gaps(), []);

    let (mut scene, a, b) = Scene::subscribed(2);
    scene.run(9 * SECOND, |_| Ok(()));
    assert_eq!(scene.push(b, "/a", 1), Push::New); // at 10
    let all = scene.candidates.clone();
    scene.lose(b);
    scene.pass(10 * SECOND);
    scene.candidates = all;
    scene.show_candidates(); // b is back and subscribed at 20
    scene.run(90 * SECOND, dead(a));
    // a was last heard of at 0, so nobody is known to have pushed from 10 to 20.
    assert_eq!(scene.gaps(), [(10, 20)]);
}

#[test]
fn a_new_topic_has_no_gap() {
    let (mut scene, ..) = Scene::subscribed(2);
    scene.pass(10 * SECOND);
    scene.want(&["/b"]);
    scene.run_well(10 * SECOND);
    assert_eq!(scene.gaps(), []);
}

/// Service nodes as they are found: they are gone, forget, say nothing or too much, and come back.
struct World {
    scene: Scene,
    servers: Vec<Server>,
    /// What is on its way, with the time when its answer comes.
    asked: Vec<(Instant, Ask)>,
    wanted: BTreeMap<String, usize>,
}

struct Server {
    candidate: Candidate,
    is_online: bool,
    mood: Mood,
    known: HashSet<Box<str>>,
    /// When it was last asked to keep them.
    heard: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Silent,
    Overrun,
    Full,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut scene = Scene::new(5);
        scene.rng = ChaCha8Rng::seed_from_u64(seed);
        let server = |candidate: &Candidate| Server {
            candidate: candidate.clone(),
            is_online: true,
            mood: Mood::Well,
            known: HashSet::new(),
            heard: Instant::now(),
        };
        let servers = scene.candidates.iter().map(server).collect();
        Self { scene, servers, asked: Vec::new(), wanted: BTreeMap::new() }
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.scene.rng.next_u32() % limit
    }

    fn show(&mut self) {
        let online = self.servers.iter().filter(|server| server.is_online);
        self.scene.candidates = online.map(|server| server.candidate.clone()).collect();
        self.scene.show_candidates();
    }

    /// Something happens to a topic or to a server.
    fn mishap(&mut self) {
        let (topic, choice) = (format!("/{}", self.below(6)), self.below(9));
        let index = self.below(5) as usize;
        let server = &mut self.servers[index];
        match choice {
            0..=2 => {
                self.scene.client.want(&pubsub(), &topic);
                *self.wanted.entry(topic).or_default() += 1;
            }
            3 | 4 => {
                if let Some(users) = self.wanted.get_mut(&topic).filter(|users| **users > 0) {
                    *users -= 1;
                    self.scene.client.unwant(&pubsub(), &topic);
                }
            }
            5 => {
                server.is_online = !server.is_online;
                server.candidate.info.connected_since = self.scene.now.time;
                self.show();
            }
            6 => server.known.clear(),
            7 => server.mood = Mood::Well,
            _ => server.mood = [Mood::Silent, Mood::Overrun, Mood::Full][index % 3],
        }
    }

    /// A server does what it is asked, and says so or not.
    fn serve(&mut self, ask: &Ask) -> Result<(), Failure> {
        let server = self.servers.iter_mut().find(|server| server.candidate.peer() == ask.peer).unwrap();
        match server.mood {
            _ if !server.is_online => return Err(Failure::NoAnswer),
            Mood::Overrun => return status(Status::TooManyRequests),
            Mood::Full if matches!(ask.question, Question::Subscribe(..)) => {
                return status(Status::Unavailable);
            }
            Mood::Well | Mood::Silent | Mood::Full => {}
        }
        if self.scene.now.at > server.heard + 5 * PING_INTERVAL {
            server.known.clear();
        }
        server.heard = self.scene.now.at;
        let before = server.known.len();
        match &ask.question {
            Question::Ping => {}
            Question::Subscribe(_, topics) => server.known.extend(topics.iter().cloned()),
            Question::Unsubscribe(_, topics) => server.known.retain(|topic| !topics.contains(topic)),
            Question::UnsubscribeAll => server.known.clear(),
        }
        let is_nothing = match ask.question {
            Question::Ping => server.known.is_empty(),
            Question::Subscribe(..) => false,
            Question::Unsubscribe(..) | Question::UnsubscribeAll => server.known.len() == before,
        };
        match server.mood {
            Mood::Silent => Err(Failure::NoAnswer),
            _ if is_nothing => status(Status::NotFound),
            _ => Ok(()),
        }
    }

    /// So much time passes, in steps of half a second.
    fn pass(&mut self, time: Duration) {
        let end = self.scene.now.at + time;
        while self.scene.now.at < end {
            while let Some(ask) = self.scene.ask() {
                let now = self.scene.now.at;
                assert!(topics(&ask.question).len() <= MAX_CONTENT_TOPICS);
                let takes = Duration::from_millis(u64::from(self.below(20)) * 500);
                self.asked.push((now + takes, ask));
            }
            let now = self.scene.now.at;
            let (due, later) = std::mem::take(&mut self.asked).into_iter().partition(|(at, _)| *at <= now);
            self.asked = later;
            let due: Vec<(Instant, Ask)> = due;
            for (_, ask) in due {
                let answer = self.serve(&ask);
                self.scene.answer(&ask, answer);
            }
            self.scene.pass(Duration::from_millis(500));
        }
    }

    fn calm(&mut self) {
        for server in &mut self.servers {
            server.mood = Mood::Well;
            server.is_online = true;
        }
        self.show();
        self.pass(15 * 60 * SECOND);
    }

    fn wanted(&self) -> HashSet<Box<str>> {
        let wanted = self.wanted.iter().filter(|(_, users)| **users > 0);
        wanted.map(|(topic, _)| topic.as_str().into()).collect()
    }
}

#[test]
fn whatever_happens_two_service_nodes_know_what_is_wanted_once_it_is_calm() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.mishap();
            let time = world.below(40);
            world.pass(time * SECOND);
        }
        world.calm();
        let (wanted, awaited) = (world.wanted(), world.scene.client.awaited());
        assert_eq!(awaited.len(), if wanted.is_empty() { 0 } else { 2 }, "seed {seed}");
        for server in &world.servers {
            if awaited.contains(&server.candidate.peer()) {
                assert_eq!(server.known, wanted, "seed {seed}");
            }
        }
        for topic in &wanted {
            assert_eq!(world.scene.client.service_peers(&pubsub(), topic), 2, "seed {seed}");
        }
        assert_eq!(world.scene.client.wanted(), wanted.len(), "seed {seed}");
        while let Some(gap) = world.scene.client.next_gap() {
            assert!(gap.from < gap.to && !gap.content_topics.is_empty(), "seed {seed}: {gap:?}");
        }
    }
}
