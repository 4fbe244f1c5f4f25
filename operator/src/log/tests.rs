use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// What was written.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Output {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn moment() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_795_233_799_587)
}

/// What `log` writes from TRACE up, at a fixed moment, by a thread of its own number.
fn written(format: Format, log: impl FnOnce()) -> String {
    let output = Output::default();
    let lines = fmt::layer()
        .with_ansi(false)
        .with_writer(output.clone())
        .event_format(Lines::new(format).with_clock(moment));
    let subscriber = registry().with(Level::new(Severity::Trace)).with(lines);
    tracing::subscriber::with_default(subscriber, log);
    output.text()
}

/// The same with the thread's number and the source's line, which tests cannot know, as 1 and 8.
fn golden(format: Format, log: impl FnOnce()) -> String {
    let mut text = written(format, log);
    for (before, end, known) in
        [("tid=", " ", "1"), ("\"tid\":", ",", "1"), ("tests.rs:", [" ", "\""][format as usize], "8")]
    {
        if let Some(start) = text.find(before).map(|at| at + before.len()) {
            let length = text[start..].find(end).or_else(|| text[start..].find('\n')).unwrap();
            text.replace_range(start..start + length, known);
        }
    }
    text
}

#[test]
fn a_text_line_is_nwakus() {
    let line = golden(Format::Text, || {
        tracing::info!(target: "waku::node", peers = 3, share = 0.5, ready = true, id = %"16Uiu2HA", "Node setup complete");
    });
    let expected = "INF 2026-11-21 04:03:19.587+00:00 Node setup complete                        \
                    topics=\"waku node\" tid=1 file=tests.rs:8 peers=3 share=0.5 ready=true id=16Uiu2HA\n";
    assert_eq!(line, expected);
}

#[test]
fn a_json_line_is_nwakus_with_the_time_quoted() {
    let line = golden(Format::Json, || {
        tracing::info!(target: "waku::node", peers = 3, share = 0.5, ready = true, id = ?"a\"b", lvl = 1, odd = f64::NAN, "up");
    });
    let expected = "{\"lvl\":\"INF\",\"ts\":\"2026-11-21 04:03:19.587+00:00\",\"msg\":\"up\",\"topics\":\"waku node\",\
                    \"tid\":1,\"file\":\"tests.rs:8\",\"peers\":3,\"share\":0.5,\"ready\":true,\"id\":\"\\\"a\\\\\\\"b\\\"\",\
                    \"lvl_\":1,\"odd\":\"NaN\"}\n";
    assert_eq!(line, expected);
}

#[test]
fn a_long_message_is_not_cut_at_its_column() {
    let message = "m".repeat(60);
    let line = written(Format::Text, || tracing::warn!("{message}"));
    assert!(line.contains(&format!("WRN 2026-11-21 04:03:19.587+00:00 {message} topics=")), "{line}");
}

#[test]
fn values_that_are_more_than_a_word_are_quoted() {
    let line = written(Format::Text, || {
        tracing::info!(
            a = "two words",
            b = "",
            c = "x=1",
            d = "say \"no\"",
            e = "back\\slash",
            f = "plain/é",
            "m"
        );
    });
    let end = r#" a="two words" b="" c="x=1" d="say \"no\"" e="back\\slash" f=plain/é"#;
    assert!(line.ends_with(&format!("{end}\n")), "{line}");
}

#[test]
fn no_text_makes_a_line_of_its_own() {
    let evil = "x\nINF 2026-11-21 forged\r\u{85}\u{2028}\u{1b}[2J\u{202e}";
    let line = written(Format::Text, || tracing::info!(agent = evil, other = ?evil, "{evil}"));
    let escaped = r"x\nINF 2026-11-21 forged\r\u0085\u2028\u001b[2J\u202e";
    assert!(
        line.contains(&format!("{escaped} topics=")) && line.contains(&format!(" agent=\"{escaped}\" ")),
        "{line}"
    );
    assert_eq!(line.find('\n'), Some(line.len() - 1));
}

#[test]
fn long_values_are_cut() {
    let long = "é".repeat(100_000);
    for format in [Format::Text, Format::Json] {
        let line = written(format, || tracing::info!(agent = long, "{long}"));
        assert_eq!(line.matches('é').count(), 2 * 2048);
        assert_eq!(line.matches('…').count(), 2);
    }
}

#[test]
fn each_severity_has_its_three_letters() {
    let text = written(Format::Text, || {
        tracing::trace!("m");
        tracing::debug!("m");
        tracing::info!("m");
        tracing::info!(notice = true, "m");
        tracing::warn!("m");
        tracing::error!("m");
        tracing::error!(fatal = true, "m");
    });
    let tags: Vec<_> = text.lines().map(|line| &line[..4]).collect();
    assert_eq!(tags, ["TRC ", "DBG ", "INF ", "NTC ", "WRN ", "ERR ", "FAT "]);
    assert!(!text.contains("notice") && !text.contains("true"), "{text}");
}

/// Logs one event of each severity as ours and as a library's.
fn log_all() {
    macro_rules! all {
        ($target:literal, $message:literal) => {
            tracing::trace!(target: $target, $message);
            tracing::debug!(target: $target, $message);
            tracing::info!(target: $target, $message);
            tracing::info!(target: $target, notice = true, $message);
            tracing::warn!(target: $target, $message);
            tracing::error!(target: $target, $message);
            tracing::error!(target: $target, fatal = true, $message);
        };
    }
    all!("waku::relay", "ours");
    all!("libp2p_swarm", "theirs");
}

/// The tags of the lines with this message.
fn tags(text: &str, message: &str) -> String {
    let lines = text.lines().filter(|line| line.contains(&format!(" {message} ")));
    lines.map(|line| &line[..3]).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_level_can_be_changed_and_libraries_show_warnings_at_most() {
    let output = Output::default();
    let level = Level::new(Severity::Info);
    let subscriber = subscriber(Format::Text, &level, output.clone());
    let cases = [
        (Severity::Info, "INF NTC WRN ERR FAT", "WRN ERR FAT"),
        (Severity::Trace, "TRC DBG INF NTC WRN ERR FAT", "WRN ERR FAT"),
        (Severity::Notice, "NTC WRN ERR FAT", "WRN ERR FAT"),
        (Severity::Warn, "WRN ERR FAT", "WRN ERR FAT"),
        (Severity::Error, "ERR FAT", "ERR FAT"),
        (Severity::Fatal, "FAT", "FAT"),
        (Severity::None, "", ""),
        (Severity::Debug, "DBG INF NTC WRN ERR FAT", "WRN ERR FAT"),
    ];
    tracing::subscriber::with_default(subscriber, || {
        for (severity, ours, theirs) in cases {
            level.set(severity);
            assert_eq!(level.get(), severity);
            output.0.lock().unwrap().clear();
            log_all();
            let text = output.text();
            assert_eq!((&*tags(&text, "ours"), &*tags(&text, "theirs")), (ours, theirs), "{severity:?}");
        }
    });
}

#[test]
fn only_whole_names_of_our_crates_follow_the_level() {
    let text = written(Format::Text, || {
        tracing::debug!(target: "waku", "yes");
        tracing::debug!(target: "waku_node", "yes");
        tracing::debug!(target: "waku_archive::disk", "yes");
        tracing::debug!(target: "waku_discovery", "yes");
        tracing::debug!(target: "waku_operator::log", "yes");
        tracing::debug!(target: "waku_noise_session", "no");
        tracing::debug!(target: "wakux", "no");
        tracing::debug!(target: "libp2p::waku", "no");
    });
    assert_eq!((text.matches(" yes ").count(), text.matches(" no ").count()), (5, 0), "{text}");
}

fn has_alarming_word(text: &str) -> bool {
    let text = text.to_lowercase();
    ALARMING.iter().any(|word| text.contains(word))
}

#[test]
fn no_alarming_word_comes_through_wherever_it_is_from() {
    for format in [Format::Text, Format::Json] {
        for word in ALARMING {
            let mut title = word.to_owned();
            title[..1].make_ascii_uppercase();
            for word in [word, &word.to_uppercase(), &title] {
                let (left, right) = word.split_at(word.len() / 2);
                let text = written(format, || {
                    tracing::info!("{word}");
                    tracing::info!("the {left}{right}, {word}{word}");
                    tracing::info!(value = word, "m");
                    tracing::info!(value = ?format_args!("{left}{right}"), "m");
                    tracing::info!(value = %word, other = &[word][..].concat(), "m");
                });
                assert_eq!(text.lines().count(), 5, "{text}");
                assert!(!has_alarming_word(&text), "{text}");
            }
        }
    }
}

#[test]
fn no_alarming_word_comes_through_as_a_key_a_target_or_a_name() {
    for format in [Format::Text, Format::Json] {
        let text = written(format, || {
            tracing::info!(panic = 1, Deadlock = 2, "goroutine exit" = 3, "m");
            tracing::error!(target: "panic::unhandled", "m");
        });
        assert!(
            text.contains("pan-ic") && text.contains("Dea-dlock") && text.contains("unh-andled"),
            "{text}"
        );
        assert!(!has_alarming_word(&text), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_gives_one_line_of_json_that_reads_back(value in any::<String>(), message in any::<String>()) {
        let line = written(Format::Json, || tracing::info!(agent = value, "{message}"));
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        prop_assert_eq!(line.lines().count(), 1);
        let json: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!((json["msg"].as_str(), json["agent"].as_str()), (Some(&*message), Some(&*value)));
    }

    #[test]
    fn alarming_words_beside_escapes_leave_json_valid(
        parts in prop::collection::vec(("[\n\t\r\u{8}\u{c}\u{0}\u{a}\u{b}\u{1a}\u{1b}\u{1d}\u{1e}\u{8a}\u{2028}\u{202e}\"\\\\u]{0,2}", prop::sample::select(&ALARMING[..]), 0..3_usize), 0..6),
    ) {
        let parts = parts.iter().map(|(escaped, word, from)| [escaped, &word[*from..]].concat());
        let text: String = parts.collect();
        let line = written(Format::Json, || tracing::info!(agent = text, "{text}"));
        prop_assert!(!has_alarming_word(&line));
        let json: Value = serde_json::from_str(&line).unwrap();
        let shown = json["agent"].as_str().unwrap();
        prop_assert_eq!(&shown.replace('-', ""), &text);
        prop_assert_eq!(json["msg"].as_str(), Some(shown));
        let line = written(Format::Text, || tracing::info!(agent = text, "{text}"));
        prop_assert!(!has_alarming_word(&line));
        prop_assert_eq!(line.lines().count(), 1);
    }
}
