//! Talking with a person: what is shown, what is asked.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Writes a line to standard output. Whoever read it may have gone, as `head` does: that is no failure.
pub(crate) fn print_line(text: impl fmt::Display) {
    _ = writeln!(io::stdout(), "{text}");
}

/// Writes to standard error as it is, without a line's end. Here, too, nobody may be left to read it.
pub(crate) fn tell(text: impl fmt::Display) {
    let mut stderr = io::stderr().lock();
    _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Writes a line to standard error.
pub(crate) fn tell_line(text: impl fmt::Display) {
    tell(format_args!("{text}\n"));
}

/// Asks for a line on standard input. The question goes to standard error, so that standard output stays clean.
pub(crate) async fn ask(question: &str) -> Result<Zeroizing<String>, Failure> {
    if io::stdin().is_terminal() {
        tell(question);
    }
    let (answer, line) = oneshot::channel();
    // Not on the runtime's threads: nobody may ever type the line.
    std::thread::spawn(move || {
        let mut line = Zeroizing::new(String::new());
        let read = io::stdin().lock().read_line(&mut line);
        _ = answer.send(read.map(|len| (len, line)));
    });
    match line.await {
        Ok(Ok((len, line))) if len > 0 => Ok(line),
        Ok(Err(error)) => Err(Failure::other(format!("cannot read from standard input: {error}"))),
        _ => Err(Failure::usage("standard input ended before an answer came")
            .hint("run it in a terminal, or pipe the answer in")),
    }
}

/// A QR code for a terminal: light modules are drawn, dark ones left out, in white on black whatever the terminal's
/// colours are.
pub(crate) fn qr(text: &str) -> Option<String> {
    let code = QrCode::new(text.as_bytes()).ok()?;
    let image = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let lines = image.lines().map(|line| format!("  \x1b[38;5;231;48;5;16m{line}\x1b[0m\n"));
    Some(lines.collect())
}
