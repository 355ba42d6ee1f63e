/// Largest resident memory of this process so far, in bytes, where the system tells it without cost (Linux).
pub(super) fn peak_bytes() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Reads the "high water mark" of `proc_pid_status(5)`, such as `VmHWM:     5120 kB`; the unit is always 1024 bytes.
fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        assert_eq!(
            peak_in("Name:\tstandin\nVmPeak:\t   9 kB\nVmHWM:\t    5120 kB\nVmRSS:\t 1 kB\n"),
            Some(5120 * 1024)
        );
        assert_eq!(peak_in("Name:\tstandin\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_in_use_raises_the_peak() {
        let filled = vec![1u8; 64 << 20];
        assert!(peak_bytes() > Some(filled.iter().map(|&byte| u64::from(byte)).sum()));
    }
}
