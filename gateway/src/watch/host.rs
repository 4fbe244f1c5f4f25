//! The host's figures, from the kernel. Where it has no `/proc`, there are none.

use std::fs;
use std::path::Path;

use super::sample::{Column, Sample};

/// Reads the host's figures; keeps what the next reading is compared with.
#[derive(Debug, Default)]
pub(super) struct HostProbe {
    cpu: Option<(u64, u64)>,
}

impl HostProbe {
    /// Puts the figures into a sample. Files in `/proc` are made when they are read; no disk is waited for.
    pub(super) fn measure(&mut self, sample: &mut Sample, disk: &Path) {
        let text = |name: &str| fs::read_to_string(name).unwrap_or_default();
        let cpu = cpu(&text("/proc/stat"));
        let before = std::mem::replace(&mut self.cpu, cpu);
        sample.set(Column::Cpu, before.zip(cpu).and_then(|(before, now)| busy(before, now)));
        sample.set(Column::Memory, memory(&text("/proc/meminfo")));
        sample.set(Column::Load, load(&text("/proc/loadavg")));
        sample.set(Column::DiskFree, disk_free(disk));
    }
}

/// Busy and all time of all processors since the system started, in ticks.
fn cpu(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; what guests use is part of user.
    let ticks = line.split_ascii_whitespace().take(8).map(|ticks| ticks.parse::<u64>().ok());
    let ticks = ticks.collect::<Option<Vec<_>>>()?;
    let all = ticks.iter().sum::<u64>();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or_default();
    Some((all - idle, all))
}

fn busy(before: (u64, u64), now: (u64, u64)) -> Option<i64> {
    let (busy, all) = (now.0.checked_sub(before.0)?, now.1.checked_sub(before.1)?);
    i64::try_from((busy * 100).checked_div(all)?).ok()
}

fn memory(meminfo: &str) -> Option<i64> {
    let figure = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<i64>().ok()
    };
    let (total, available) = (figure("MemTotal:")?, figure("MemAvailable:")?);
    ((total - available) * 100).checked_div(total)
}

fn load(loadavg: &str) -> Option<i64> {
    let (whole, part) = loadavg.split_ascii_whitespace().next()?.split_once('.')?;
    let tenths = part.get(..1)?.parse::<i64>().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(10)?.checked_add(tenths)
}

#[cfg(target_os = "linux")]
fn disk_free(path: &Path) -> Option<i64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    i64::try_from(disk.f_bavail.checked_mul(disk.f_frsize)? >> 20).ok()
}

#[cfg(not(target_os = "linux"))]
fn disk_free(_: &Path) -> Option<i64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        let before = cpu("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        let now = cpu("cpu  160 0 70 900 70 0 0 0 0 0\n").unwrap();
        assert_eq!(busy(before, now), Some(40));
        assert_eq!(memory("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n"), Some(75));
        assert_eq!(load("12.34 0.5 0.1 1/2 3\n"), Some(123));
    }

    #[test]
    fn odd_figures_are_none() {
        for text in ["", "cpu \n", "cpu x\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "1 2 3", "x.y"] {
            assert_eq!((cpu(text), memory(text), load(text)), (None, None, None), "{text}");
        }
        assert_eq!(busy((5, 10), (5, 10)), None);
        assert_eq!(busy((5, 10), (1, 2)), None);
    }

    #[test]
    fn this_host_has_figures() {
        let mut sample = Sample::new(1);
        let mut probe = HostProbe::default();
        probe.measure(&mut sample, Path::new("/"));
        if cfg!(target_os = "linux") {
            assert!(sample.get(Column::Memory).is_some_and(|percent| (1..=100).contains(&percent)));
            assert!(sample.get(Column::DiskFree).is_some() && sample.get(Column::Load).is_some());
            assert!(probe.cpu.is_some() && sample.get(Column::Cpu).is_none());
        }
    }
}
