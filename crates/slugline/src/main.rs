//! Your own Heroku in one binary.

mod compile_command;

use clap::Parser;

/// Your own Heroku in one binary
#[derive(Debug, Parser)]
#[command(version)]
enum Slugline {
    /// Turn a source into a tree that can be packed
    Compile(compile_command::CompileArgs),
    /// Run a script of a buildpack that comes with Slugline
    Buildpack(compile_command::BuildpackArgs),
}

fn main() {
    let code = match Slugline::parse() {
        Slugline::Compile(args) => compile_command::compile_main(args),
        Slugline::Buildpack(args) => compile_command::buildpack_main(&args),
    };
    std::process::exit(code);
}
