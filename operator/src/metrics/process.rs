//! What the system knows of the process. On Linux, from `/proc`; nowhere else.

/// The name in HELP and TYPE.
pub(super) const HEAD: &str = "process_info";

/// The names of the samples, in their order.
pub(super) const NAMES: [&str; 6] = [
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
];

#[cfg(not(target_os = "linux"))]
pub(super) fn render(_: &mut String) {}

#[cfg(target_os = "linux")]
pub(super) use self::linux::render;

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Write as _;
    use std::fs;

    use super::{HEAD, NAMES};
    use crate::metrics::number::Number;
    use crate::metrics::render_head;
    use crate::metrics::table::Kind;

    pub(crate) fn render(out: &mut String) {
        render_head(out, HEAD, Kind::Gauge, "What the system knows of this process.");
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let texts = Texts {
            status: &read("/proc/self/status"),
            stat: &read("/proc/self/stat"),
            system: &read("/proc/stat"),
            limits: &read("/proc/self/limits"),
        };
        let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).map_or(100.0, f64::from);
        let open = fs::read_dir("/proc/self/fd").ok().and_then(|fds| u32::try_from(fds.count()).ok());
        let values = texts.values(ticks).into_iter().chain([open.map(f64::from)]);
        for (name, value) in NAMES.into_iter().zip(values) {
            // As with all samples: a 0, such as the first moment's processor time, is not shown.
            if let Some(value) = value.filter(|value| *value > 0.0) {
                let _ = writeln!(out, "{name} {}", Number(value));
            }
        }
        out.push('\n');
    }

    /// The files, see proc(5).
    pub(super) struct Texts<'a> {
        pub(super) status: &'a str,
        pub(super) stat: &'a str,
        pub(super) system: &'a str,
        pub(super) limits: &'a str,
    }

    impl Texts<'_> {
        /// The samples but the last, in their order, as far as the files have them. `ticks` of the clock make a second.
        pub(super) fn values(&self, ticks: f64) -> [Option<f64>; 5] {
            let kib = |key| Some(1024.0 * number_after(self.status, key)?);
            let started = |boot: f64| Some(boot + self.field(22)? / ticks);
            [
                kib("VmSize:"),
                kib("VmRSS:"),
                number_after(self.system, "btime").and_then(started),
                self.field(14).zip(self.field(15)).map(|(user, system)| (user + system) / ticks),
                number_after(self.limits, "Max open files"),
            ]
        }

        /// A field of `stat`, counted from 1 as in proc(5), after the second.
        fn field(&self, number: usize) -> Option<f64> {
            // The second is the program's name in parentheses, and may have spaces and parentheses itself.
            let (_, after_name) = self.stat.rsplit_once(')')?;
            after_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
        }
    }

    /// The number that follows `key` in the line that begins with it.
    fn number_after(text: &str, key: &str) -> Option<f64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        rest.split_whitespace().next()?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const STAT: &str =
            "41 (a) b (c)) S 1 41 41 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 7 0 12345 999 88 1844";

        #[test]
        fn reads_a_program_whose_name_has_parentheses() {
            let texts = Texts {
                status: "Name:\twaku\nVmPeak:\t 9 kB\nVmSize:\t    2048 kB\nVmRSS:\t    512 kB\n",
                stat: STAT,
                system: "cpu  1 2 3\nbtime 1700000000\nprocesses 5\n",
                limits: "Limit    Soft Limit   Hard Limit   Units\nMax open files   1024   4096   files\n",
            };
            let expected = [2_097_152.0, 524_288.0, 1_700_000_123.45, 4.0, 1024.0];
            assert_eq!(texts.values(100.0), expected.map(Some));
        }

        #[test]
        fn leaves_out_what_it_cannot_read() {
            let texts = Texts {
                status: "VmRSS:\tmuch",
                stat: "41 (a",
                system: "",
                limits: "Max open files   unlimited",
            };
            // "unlimited" is no number, and "inf" would be one for Rust.
            assert_eq!(texts.values(100.0), [None; 5]);
        }

        #[test]
        fn shows_all_of_this_process() {
            let mut out = String::new();
            render(&mut out);
            // Of processor time, a test may have had none.
            for name in NAMES.into_iter().filter(|name| !name.contains("cpu")) {
                let line = out
                    .lines()
                    .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
                let value: f64 = line.and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
                assert!(value > 0.0, "{out}");
            }
            assert!(out.starts_with("# HELP process_info ") && out.ends_with("\n\n"), "{out}");
        }
    }
}
