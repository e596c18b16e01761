//! What a piece of work takes in memory. The whole process is measured: a test that uses it is alone in its binary.

/// By how much the process's memory grows at most while `work` runs; `None` when the system does not tell.
pub fn peak_bytes(work: impl FnOnce()) -> Option<usize> {
    // Forgets the peak so far (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = status_bytes("VmRSS:")?;
    work();
    Some(status_bytes("VmHWM:")?.saturating_sub(before))
}

fn status_bytes(name: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * 1024)
}
