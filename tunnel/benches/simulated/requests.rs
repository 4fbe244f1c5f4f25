//! Small requests: one at a time, or some at once.

use std::collections::BTreeMap;
use std::time::Duration;

use waku_tunnel::connection::{Event, Read};
use waku_tunnel::request::{Answer, Body, Header, Key, Request};
use waku_tunnel::stream::Handle;

use crate::world::{APP, Carriage, Happening, MANAGER, Weather, World};

/// Rounds of requests in one run, each a while after the one before began.
pub(crate) const ROUNDS: u32 = 5;
/// Milliseconds between rounds, and those that the manager's service takes for an answer.
const BETWEEN: (u32, u32) = (5_000, 30_000);
const SERVICE: (u32, u32) = (2, 30);
/// How long a run goes on after its last round, until nobody has anything left to say.
const QUIET: Duration = Duration::from_secs(3600);

/// What is asked in a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Requests of a round.
    pub(crate) batch: u32,
    /// From one of them to the next.
    pub(crate) apart: Duration,
    /// Whether they change something and have a key.
    pub(crate) is_post: bool,
}

/// What came of a run, or of some.
#[derive(Default)]
pub(crate) struct Outcome {
    /// From each request until its answer was whole.
    pub(crate) took: Vec<Duration>,
    pub(crate) messages: usize,
    /// Of those: repetitions, and acknowledgements alone.
    pub(crate) repeated: u64,
    pub(crate) bare: u64,
    pub(crate) wire: u64,
    /// Bytes of the requests and answers themselves.
    pub(crate) own: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, mut other: Self) {
        self.took.append(&mut other.took);
        self.messages += other.messages;
        self.repeated += other.repeated;
        self.bare += other.bare;
        self.wire += other.wire;
        self.own += other.own;
    }
}

/// What is to be done when a task is due.
enum Todo {
    /// So many at once.
    Ask(u32),
    Answer(Handle),
}

/// A request as the app sees it.
struct Asked {
    at: Duration,
    status: u16,
    body: Vec<u8>,
}

struct Scene {
    plan: Plan,
    todos: Vec<Todo>,
    opened: u32,
    asked: BTreeMap<Handle, Asked>,
    /// How often the manager ran each.
    ran: BTreeMap<Handle, u32>,
    outcome: Outcome,
}

/// One run. Panics unless each request ran once and has its answer.
pub(crate) fn play(seed: u64, weather: Weather, carriage: Carriage, plan: Plan, rounds: u32) -> Outcome {
    let mut world = World::new(seed, weather, carriage);
    let mut scene = Scene {
        plan,
        todos: Vec::new(),
        opened: 0,
        asked: BTreeMap::new(),
        ran: BTreeMap::new(),
        outcome: Outcome::default(),
    };
    let mut begins = Duration::ZERO;
    for _ in 0..rounds {
        begins += world.millis(BETWEEN.0, BETWEEN.1);
        if plan.apart.is_zero() {
            scene.later(&mut world, begins, Todo::Ask(plan.batch));
        } else {
            (0..plan.batch).for_each(|nth| scene.later(&mut world, begins + plan.apart * nth, Todo::Ask(1)));
        }
    }
    while let Some(happened) = world.run(begins + QUIET) {
        for happening in happened {
            scene.react(&mut world, happening);
        }
    }
    let requests = usize::try_from(rounds * plan.batch).unwrap();
    assert_eq!(scene.outcome.took.len(), requests, "every request is answered");
    assert!(scene.ran.len() == requests && scene.ran.values().all(|times| *times == 1), "and ran once");
    assert!(world.nodes.iter().all(|node| node.tunnel.in_flight() == 0), "nothing is left to be said");
    let bare = world.nodes.iter().map(|node| node.tunnel.counters().bare_acks).sum();
    Outcome {
        messages: world.messages(),
        repeated: world.repeated(),
        bare,
        wire: world.wire(),
        ..scene.outcome
    }
}

impl Scene {
    fn later(&mut self, world: &mut World, delay: Duration, todo: Todo) {
        world.after(delay, self.todos.len() as u64);
        self.todos.push(todo);
    }

    fn react(&mut self, world: &mut World, happening: Happening) {
        match happening {
            Happening::Due(number) => match self.todos[usize::try_from(number).unwrap()] {
                Todo::Ask(times) => (0..times).for_each(|_| self.ask(world)),
                Todo::Answer(stream) => self.answer(world, stream),
            },
            Happening::Event(MANAGER, Event::Requested { stream, request }) => {
                let made = self.plan.request(number(stream));
                assert!(request.path == made.path && request.key == made.key, "it is the one that was made");
                *self.ran.entry(stream).or_default() += 1;
            }
            Happening::Event(MANAGER, Event::Readable(stream)) => {
                let mut body = Vec::new();
                loop {
                    match world.nodes[MANAGER].tunnel.read(stream) {
                        Read::Bytes(bytes) => body.extend_from_slice(&bytes),
                        Read::Blocked => panic!("a request so small comes at once"),
                        Read::End => break,
                    }
                }
                let made = match self.plan.request(number(stream)).body {
                    Body::Whole(made) => made.to_vec(),
                    _ => Vec::new(),
                };
                assert!(body == made, "all of it has come");
                let delay = world.millis(SERVICE.0, SERVICE.1);
                self.later(world, delay, Todo::Answer(stream));
            }
            Happening::Event(APP, Event::Answered { stream, status, .. }) => {
                self.asked.get_mut(&stream).unwrap().status = status;
            }
            Happening::Event(APP, Event::Readable(stream)) => {
                while let Read::Bytes(bytes) = world.nodes[APP].tunnel.read(stream) {
                    self.asked.get_mut(&stream).unwrap().body.extend_from_slice(&bytes);
                }
            }
            Happening::Event(APP, Event::Ended { stream, outcome }) => {
                assert_eq!(outcome, Ok(()));
                let asked = self.asked.remove(&stream).unwrap();
                let (answer, body) = self.plan.answer(number(stream));
                assert!(asked.status == answer.status && asked.body == body, "the answer is the right one");
                self.outcome.took.push(world.now.saturating_sub(asked.at));
            }
            Happening::Event(..) => {}
        }
    }

    fn ask(&mut self, world: &mut World) {
        let request = self.plan.request(self.opened);
        self.outcome.own += own_len(&request);
        let stream = world.nodes[APP].tunnel.open(world.now(), request).unwrap();
        assert_eq!(number(stream), self.opened, "streams are numbered in the order in which they are opened");
        self.opened += 1;
        self.asked.insert(stream, Asked { at: world.now, status: 0, body: Vec::new() });
    }

    fn answer(&mut self, world: &mut World, stream: Handle) {
        let (answer, body) = self.plan.answer(number(stream));
        self.outcome.own += (headers_len(&answer.headers) + body.len()) as u64;
        let now = world.now().instant;
        world.nodes[MANAGER].tunnel.answer_whole(now, stream, answer, &body).unwrap();
    }
}

/// A request's place among those of the run, on either side.
fn number(stream: Handle) -> u32 {
    u32::from(stream.id()) / 2
}

fn headers_len(headers: &[Header]) -> usize {
    headers.iter().map(|header| header.name.len() + header.value.len()).sum()
}

fn own_len(request: &Request) -> u64 {
    let body = if let Body::Whole(body) = &request.body { body.len() } else { 0 };
    (request.method.len() + request.path.len() + headers_len(&request.headers) + body) as u64
}

impl Plan {
    /// The nth request: a node's state, or an order to a validator client.
    fn request(self, number: u32) -> Request {
        let json = Header::new("accept", "application/json");
        if !self.is_post {
            return Request { headers: vec![json], ..Request::new("GET", "/eth/v1/node/syncing") };
        }
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_le_bytes());
        let body = format!("{{\"ethaddress\":\"0x{number:040x}\"}}");
        Request {
            headers: vec![json, Header::new("content-type", "application/json")],
            body: Body::Whole(body.into()),
            key: Some(Key(key)),
            ..Request::new("POST", format!("/eth/v1/validator/0x{number:096x}/feerecipient"))
        }
    }

    fn answer(self, number: u32) -> (Answer, Vec<u8>) {
        if self.is_post {
            return (Answer::new(202), Vec::new());
        }
        let headers = vec![Header::new("content-type", "application/json")];
        let body = format!(
            "{{\"data\":{{\"head_slot\":\"{}\",\"sync_distance\":\"0\",\"is_syncing\":false,\"is_optimistic\":false,\
             \"el_offline\":false}}}}",
            12_345_678 + number
        );
        (Answer { headers, ..Answer::new(200) }, body.into_bytes())
    }
}
