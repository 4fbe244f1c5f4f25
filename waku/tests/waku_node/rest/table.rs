//! The tables of the contract: a line a row, its cells separated by tabs, `-` where there is nothing. The first line names
//! the columns; lines that begin with `#` are for people.

/// Every path with its methods.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let rows = rows::<4>(include_str!("../contract/endpoints.tsv"));
    rows.map(|[method, path, group, summary]| Endpoint { method, path, group, summary }).collect()
}

/// What is answered to what.
pub(super) fn answers() -> Vec<Row> {
    let rows = rows::<10>(include_str!("../contract/answers.tsv"));
    rows.map(|[id, scene, method, path, sends, body, status, kind, gives, answer]| Row {
        id,
        scene,
        method,
        path,
        sends,
        body,
        status,
        kind,
        gives,
        answer,
    })
    .collect()
}

/// Rows in which we answer otherwise than nwaku, on purpose.
pub(super) fn differences() -> Vec<Difference> {
    let rows = rows::<4>(include_str!("../contract/differences.tsv"));
    rows.map(|[id, theirs, ours, why]| Difference { id, theirs, ours, why }).collect()
}

/// Rows that no test can bring about, with the reason.
pub(super) fn unprovoked() -> Vec<Unprovoked> {
    let rows = rows::<2>(include_str!("../contract/unprovoked.tsv"));
    rows.map(|[id, why]| Unprovoked { id, why }).collect()
}

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// With `{name}` for each segment that varies.
    pub(super) path: &'static str,
    pub(super) group: &'static str,
    pub(super) summary: &'static str,
}

/// A request and its answer. `<<name>>` is a value of the scene, `<<%name>>` the same percent-encoded, `<<a*100>>` a text
/// repeated.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: &'static str,
    /// Or `scenario`, or `unprovoked`.
    pub(super) scene: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Headers, separated by ` | `; `json` and `text` are content types.
    pub(super) sends: &'static str,
    pub(super) body: &'static str,
    /// Status and phrase.
    pub(super) status: &'static str,
    /// Of the answer: `json`, `text`, `html`; `-` is no content type at all.
    pub(super) kind: &'static str,
    /// Headers of the answer, separated by ` | `; with `!` in front those it must not have.
    pub(super) gives: &'static str,
    /// See [`super::pattern`].
    pub(super) answer: &'static str,
}

#[derive(Debug)]
pub(super) struct Difference {
    pub(super) id: &'static str,
    pub(super) theirs: &'static str,
    pub(super) ours: &'static str,
    pub(super) why: &'static str,
}

#[derive(Debug)]
pub(super) struct Unprovoked {
    pub(super) id: &'static str,
    pub(super) why: &'static str,
}

fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).skip(1);
    lines.map(|line| {
        let cells: Vec<_> = line.split('\t').map(|cell| if cell == "-" { "" } else { cell }).collect();
        cells.try_into().unwrap_or_else(|cells: Vec<_>| panic!("{} cells, not {N}: {line}", cells.len()))
    })
}
