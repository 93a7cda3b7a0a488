//! How much memory a dyno has, as the boot scripts of all built-in buildpacks find it.

/// Defines `slugline_memory_megabytes`, which prints a number. The limit stands where Heroku's dynos
/// have it; without one, the machine's memory counts. No limit is written as a number that no
/// machine has.
pub(crate) const MEMORY_FUNCTION: &str = r#"slugline_memory_megabytes() {
  local bytes='' name kilobytes
  local limit="${SLUGLINE_MEMORY_LIMIT_FILE:-/sys/fs/cgroup/memory/memory.limit_in_bytes}"
  [[ -r "$limit" ]] && read -r bytes < "$limit"
  if [[ "$bytes" =~ ^[0-9]{1,13}$ ]] && (( bytes <= 1099511627776 )); then
    echo $(( bytes / 1048576 ))
    return
  fi
  while read -r name kilobytes _; do
    [[ "$name" == MemTotal: ]] && echo $(( kilobytes / 1024 ))
  done < /proc/meminfo
}
"#;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn megabytes(limit: Option<&str>) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("limit");
        if let Some(limit) = limit {
            fs_err::write(&file, format!("{limit}\n")).unwrap();
        }
        let script = format!("{MEMORY_FUNCTION}\nslugline_memory_megabytes");
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &script]).env("SLUGLINE_MEMORY_LIMIT_FILE", file);
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn the_limit_counts_and_without_one_the_machine() {
        assert_eq!(megabytes(Some("536870912")), 512);
        let machine = megabytes(None);
        assert!(machine > 0);
        assert_eq!(megabytes(Some("9223372036854771712")), machine);
        assert_eq!(megabytes(Some("max")), machine);
    }
}
