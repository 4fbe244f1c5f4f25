//! `pair` and `app pair`: a person pairs two machines.

mod catch_up;

use std::pin::pin;
use std::time::Duration;

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use waku_pairing::code::{CODE_LIFETIME, Code};
use waku_pairing::party::Part;
use waku_pairing::sas::Sas;
use zeroize::Zeroizing;

use crate::args::{AppPairArgs, Global, NetworkArgs, PairArgs, TermsArgs};
use crate::control::{Access, Notice, Request, Response, Secret, Watch, Who};
use crate::failure::{Failure, Kind};
use crate::signals::Signals;
use crate::terminal::{ask, print_line, qr, tell, tell_line};
use crate::{settings, show};

/// After so long without an answer a person wants to know what could be wrong.
const HINT_AFTER: Duration = Duration::from_secs(180);
/// How long the app waits for the host to have the confirmation on disk.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(60);
/// How long the host's last word is given to reach the app.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(10);

/// `pair`: the host's side.
pub(crate) async fn host(global: &Global, args: PairArgs) -> Result<(), Failure> {
    let plan = Plan::new(global, Part::NodeManager, &args.label, &args.network).await?;
    let code = match args.code {
        Some(code) => checked(Zeroizing::new(code))?,
        None => ask_code().await?,
    };
    let access = plan.start().await?;
    let mut dialogue = Dialogue::new(&access, args.json, &args.terms).await?;
    let result = type_in(&mut dialogue, code, &args.terms).await;
    leave(access).await;
    result
}

async fn type_in(
    dialogue: &mut Dialogue<'_>,
    code: Zeroizing<String>,
    terms: &TermsArgs,
) -> Result<(), Failure> {
    let TermsArgs { no_confirm, allow_clock_skew, .. } = *terms;
    let request = Request::Pair { code: Secret(code), compare_digits: !no_confirm, allow_clock_skew };
    dialogue.call(request).await?;
    let peer = dialogue.until_confirmed().await?;
    // That the digits were compared is the app's word, whoever the app is.
    let revoke = format!("`node-manager peers revoke {}`", peer.fingerprint);
    dialogue.say(&format!("If your app does not say that it is paired, it was another's: {revoke}."));
    dialogue.say("Telling the app…");
    dialogue.until_told(peer.pairing).await;
    Ok(())
}

/// `app pair`: the app's side.
pub(crate) async fn app(global: &Global, args: AppPairArgs) -> Result<(), Failure> {
    let plan = Plan::new(global, Part::App, &args.label, &args.network).await?;
    let access = plan.start().await?;
    let mut dialogue = Dialogue::new(&access, args.json, &args.terms).await?;
    let result = offer(&mut dialogue, &args).await;
    leave(access).await;
    result
}

/// A service of our own stops cleanly, or at once when a signal comes.
async fn leave(access: Access) {
    if let Ok(mut signals) = Signals::new() {
        _ = signals.unless_interrupted(access.close()).await;
    }
}

async fn offer(dialogue: &mut Dialogue<'_>, args: &AppPairArgs) -> Result<(), Failure> {
    dialogue.until_connected().await?;
    let TermsArgs { no_confirm, allow_clock_skew, .. } = args.terms;
    let code = Code::generate(&mut UnwrapErr(SysRng)).digits();
    let secret = Secret(code.clone());
    dialogue.call(Request::Offer { code: secret, compare_digits: !no_confirm, allow_clock_skew }).await?;
    dialogue.show_code(&code, !args.no_qr);
    dialogue.until_confirmed().await?;
    dialogue.until_acknowledged().await
}

/// Where the pairing will be done, found out before anybody is asked anything.
enum Plan {
    Daemon(Access),
    Local(Box<(node_manager::ServiceConfig, node_manager::Network)>),
}

impl Plan {
    async fn new(
        global: &Global,
        part: Part,
        label: &crate::args::LabelArgs,
        network: &NetworkArgs,
    ) -> Result<Self, Failure> {
        let config = settings::service(global, part, Some(label))?;
        match Access::daemon(&config).await? {
            Some(daemon) => Ok(Self::Daemon(daemon)),
            None => Ok(Self::Local(Box::new((config, network.network()?)))),
        }
    }

    async fn start(self) -> Result<Access, Failure> {
        match self {
            Self::Daemon(daemon) => Ok(daemon),
            Self::Local(local) => {
                let (config, network) = *local;
                Access::start(&config, network).await
            }
        }
    }
}

async fn ask_code() -> Result<Zeroizing<String>, Failure> {
    loop {
        match checked(ask("Code that the app shows: ").await?) {
            Ok(code) => return Ok(code),
            Err(failure) => tell_line(failure.message),
        }
    }
}

fn checked(typed: Zeroizing<String>) -> Result<Zeroizing<String>, Failure> {
    match typed.parse::<Code>() {
        Ok(_) => Ok(typed),
        Err(error) => Err(Failure::usage(error)),
    }
}

/// The conversation with the person who waits.
struct Dialogue<'a> {
    access: &'a Access,
    watch: Watch,
    signals: Signals,
    json: bool,
    deadline: Instant,
    hint: Option<Instant>,
    /// The pairings there were before; what becomes of them is another matter.
    earlier: Vec<String>,
    /// Whether the pairing stands and there is nothing left to cancel.
    stands: bool,
    /// Who is being paired with, as soon as it is known.
    peer: Option<Who>,
    /// The question that waits for an answer.
    question: Option<JoinHandle<Result<Zeroizing<String>, Failure>>>,
}

/// What to do next.
enum Turn {
    Notice(Notice),
    Answer(Result<Zeroizing<String>, Failure>),
}

impl<'a> Dialogue<'a> {
    async fn new(access: &'a Access, json: bool, terms: &TermsArgs) -> Result<Self, Failure> {
        let signals = Signals::new()?;
        let watch = access.watch().await?;
        Ok(Self {
            access,
            watch,
            signals,
            earlier: access.peers().await?.into_iter().map(|peer| peer.pairing).collect(),
            stands: false,
            json,
            deadline: Instant::now() + Duration::from_secs(terms.timeout).min(CODE_LIFETIME),
            hint: Some(Instant::now() + HINT_AFTER),
            peer: None,
            question: None,
        })
    }

    /// Waits until a Waku node is connected: before that nobody could hear.
    async fn until_connected(&mut self) -> Result<(), Failure> {
        loop {
            if let Turn::Notice(Notice::Network { connected: 1.., .. }) = self.turn().await? {
                return Ok(());
            }
        }
    }

    /// Goes on until the pairing stands.
    async fn until_confirmed(&mut self) -> Result<Who, Failure> {
        loop {
            match self.turn().await? {
                Turn::Answer(answer) => self.handle_answer(answer).await?,
                Turn::Notice(Notice::ShowDigits { peer, digits, compare }) => {
                    self.show_digits(peer, &digits, compare)
                }
                Turn::Notice(Notice::AskDigits { peer }) => self.ask_digits(peer),
                Turn::Notice(Notice::PairingFailed { failure, .. }) => return Err(failure),
                Turn::Notice(Notice::Confirmed { peer, compared }) => {
                    self.say(&format!("Paired with {:?}, fingerprint {}.", peer.name, peer.fingerprint));
                    if !compared {
                        self.say("The six digits were not compared; `peers show` has them for later.");
                    }
                    self.stands = true;
                    self.peer = Some(peer.clone());
                    return Ok(peer);
                }
                Turn::Notice(_) => {}
            }
        }
    }

    /// Waits until the host has the confirmation on disk too.
    async fn until_acknowledged(&mut self) -> Result<(), Failure> {
        self.say("Waiting until the host has it on disk, too…");
        self.deadline = Instant::now() + ACKNOWLEDGE_WITHIN;
        let pairing = self.peer.as_ref().map(|peer| peer.pairing.clone());
        loop {
            match self.turn().await {
                Ok(Turn::Notice(Notice::Acknowledged { pairing: whose }))
                    if Some(&whose) == pairing.as_ref() =>
                {
                    self.say(
                        "The host has it on disk, too. Keep the session alive with `node-manager app run`.",
                    );
                    return Ok(());
                }
                Ok(Turn::Notice(Notice::PairingFailed { failure, .. })) => return Err(failure),
                Ok(_) => {}
                Err(failure) if failure.kind == Kind::Timeout => {
                    self.say("The host has not answered yet; it will when both sides run.");
                    return Ok(());
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Gives the app time to learn that this side has it on disk: a pong says that it has heard, as does its leave.
    async fn until_told(&mut self, pairing: String) {
        let timeout_ms = u64::try_from(LAST_WORD_WITHIN.as_millis()).unwrap_or(u64::MAX);
        let heard = self.access.call(Request::Ping { peer: Some(pairing.clone()), timeout_ms });
        let left = async {
            while let Some(notice) = self.watch.next().await {
                if matches!(&notice, Notice::SessionDown { pairing: whose } if *whose == pairing) {
                    break;
                }
            }
        };
        tokio::select! {
            _ = heard => {}
            () = left => {}
            _ = self.signals.next() => {}
        }
    }

    /// The next thing that happens. Notices are shown or printed; giving up cancels the pairing.
    async fn turn(&mut self) -> Result<Turn, Failure> {
        loop {
            let hint = self.hint.unwrap_or(self.deadline);
            tokio::select! {
                notice = self.watch.next() => {
                    let notice = notice.ok_or_else(|| self.daemon_stopped())?;
                    self.print(&notice);
                    let notice = match notice {
                        Notice::Missed { .. } => self.catch_up().await?,
                        notice => Some(notice),
                    };
                    if let Some(notice) = notice.filter(|notice| !self.is_about_another(notice)) {
                        return Ok(Turn::Notice(notice));
                    }
                }
                answer = answered(&mut self.question) => {
                    self.question = None;
                    return Ok(Turn::Answer(answer));
                }
                _ = self.signals.next() => return Err(self.cancel(Failure::interrupted()).await),
                () = sleep_until(self.deadline) => {
                    let failure = Failure::new(Kind::Timeout, "nobody answered in time")
                        .hint("check the code, and that both sides reach the same network (cluster, shard, nodes)");
                    return Err(self.cancel(failure).await);
                }
                () = sleep_until(hint), if self.hint.is_some() => {
                    self.hint = None;
                    if self.peer.is_none() {
                        self.say("Still nobody. Is the code the one shown now? Do both sides reach the same network?");
                    }
                }
            }
        }
    }

    /// Has a request carried out. A signal meanwhile cancels the pairing, a second one is obeyed at once.
    async fn call(&mut self, request: Request) -> Result<Response, Failure> {
        let mut answer = pin!(self.access.call(request));
        let interrupted = tokio::select! {
            answer = &mut answer => return answer,
            _ = self.signals.next() => Failure::interrupted(),
        };
        // Only what has begun can be cancelled.
        self.signals.unless_interrupted(answer).await?.ok();
        Err(self.cancel(interrupted).await)
    }

    /// Ends the pairing under way and returns why.
    async fn cancel(&mut self, why: Failure) -> Failure {
        if !self.stands {
            // What has to be said is why, not how well the end went.
            _ = self.signals.unless_interrupted(self.access.call(Request::Cancel)).await;
        }
        why
    }

    fn show_code(&self, code: &str, with_qr: bool) {
        let notice = Notice::Code { code: code.to_owned(), expires_in_s: CODE_LIFETIME.as_secs() };
        if self.json {
            return self.print(&notice);
        }
        if let Some(image) = with_qr.then(|| qr(code)).flatten() {
            tell(format_args!("\n{image}\n"));
        }
        tell_line(
            "On the host, run `node-manager pair` and type this code. It is good for 10 minutes, once.\n",
        );
        print_line(format_args!("    {code}\n"));
    }

    fn show_digits(&mut self, peer: Who, digits: &str, compare: bool) {
        self.introduce(&peer);
        self.say("It will be able to look, not to change anything.");
        if compare {
            self.say(&format!("Type these six digits into the app:\n\n    {}\n", show::digits(digits)));
            self.say("Waiting for the app's confirmation…");
        }
        self.peer = Some(peer);
    }

    fn ask_digits(&mut self, peer: Who) {
        if self.peer.as_ref() != Some(&peer) {
            self.introduce(&peer);
        }
        self.peer = Some(peer);
        if self.question.is_none() {
            self.question = Some(tokio::spawn(ask("Six digits that the host shows: ")));
        }
    }

    fn introduce(&self, peer: &Who) {
        let Who { name, fingerprint, again, namesake, .. } = peer;
        self.say(&format!("{name:?} asks to be paired, fingerprint {fingerprint}."));
        if *again {
            self.say("It is paired already; the new pairing takes the old one's place.");
        }
        if let Some(namesake) = namesake {
            self.say(&format!(
                "Careful: another machine is paired under the same name, fingerprint {namesake}."
            ));
        }
    }

    async fn handle_answer(&mut self, answer: Result<Zeroizing<String>, Failure>) -> Result<(), Failure> {
        let Some(peer) = self.peer.clone() else { return Ok(()) };
        let digits = match answer {
            Ok(digits) => digits,
            Err(failure) => return Err(self.cancel(failure).await),
        };
        if let Err(error) = digits.parse::<Sas>() {
            tell_line(error);
            self.ask_digits(peer);
            return Ok(());
        }
        let request = Request::Digits { peer: Some(peer.pairing.clone()), digits: digits.to_string() };
        match self.call(request).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.kind == Kind::Vault => {
                tell_line(failure);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn say(&self, text: &str) {
        if !self.json {
            tell_line(text);
        }
    }

    fn print(&self, notice: &Notice) {
        if self.json {
            print_line(serde_json::to_string(notice).expect("plain data can be written as JSON"));
        } else if let Some(text) = show::step(notice) {
            tell_line(text);
        }
    }
}

async fn answered(
    question: &mut Option<JoinHandle<Result<Zeroizing<String>, Failure>>>,
) -> Result<Zeroizing<String>, Failure> {
    match question {
        Some(question) => question.await.unwrap_or_else(|error| Err(Failure::other(error))),
        None => std::future::pending().await,
    }
}
