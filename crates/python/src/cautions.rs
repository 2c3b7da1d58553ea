//! Settings that hurt on this machine, one sentence each: for the log at the start and for `--check-config`. Nothing
//! here keeps a server from starting.

use settings::Config;

/// Workers for each CPU beyond which more of them only cost memory. Gunicorn recommends 2 to 4.
const MOST_FOR_A_CPU: usize = 8;

/// Memory in bytes that a worker with a small framework needs.
const LEAST_MEMORY: u64 = 32 << 20;

/// What the operator should know.
pub(crate) fn of_machine(config: &Config) -> Vec<String> {
    let workers = usize::try_from(config.workers).unwrap_or(usize::MAX);
    let cpus = std::thread::available_parallelism().map_or(workers, usize::from);
    let mut sentences = Vec::new();
    if workers > cpus.saturating_mul(MOST_FOR_A_CPU) {
        let (least, most) = (2 * cpus, 4 * cpus);
        sentences.push(format!(
            "{workers} workers share {cpus} CPUs: begin with {least} to {most}, and give each worker threads"
        ));
    }
    let memory = sys::memory::limit();
    if let Some(memory) =
        memory.filter(|bytes| bytes / u64::from(config.workers.max(1)) < LEAST_MEMORY)
    {
        let mebibytes = memory >> 20;
        sentences.push(format!(
            "{workers} workers share {mebibytes} MiB of memory, which is less than a small application needs"
        ));
    }
    let is_root = sys::users::effective_uid() == 0;
    if is_root && config.user.is_none() && !config.reload {
        sentences.push("workers run as root: --user names whom they shall run as".to_owned());
    }
    sentences
}
