//! Your own Heroku in one binary.

fn main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == "supervise") {
        let directory = args.next().unwrap_or_default();
        std::process::exit(slugline_dyno::supervise(directory.as_ref()));
    }
}
