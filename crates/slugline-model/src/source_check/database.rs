//! A database in a file.

use crate::advice::{self, Framework};

use super::code::{Code, Line};
use super::{Cause, Finding, Said, Source};

const SCRIPTS: [&str; 6] = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

/// What gives an app its database from outside.
const FROM_OUTSIDE: [&str; 6] =
    ["DATABASE_URL", "dj_database_url", "environ", "getenv", "env.db(", "process.env"];

pub(super) fn find(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |endings: &[&str], is_it: &dyn Fn(&Code, &Line) -> bool, framework| {
        for file in source.ending(endings) {
            let lines = file.unconditional().filter(|line| is_it(file, line));
            findings.extend(lines.map(|line| said(framework).at(file, line)));
        }
    };
    let used = is_used_by_django(source);
    let outside = names_its_url(source);
    look(&[".py"], &|file, line| used && !outside && of_django(file, line), Framework::Django);
    look(&[".py"], &|_, line| of_flask(line), Framework::Flask);
    look(&[".py"], &of_python, Framework::FastApi);
    look(&[".prisma"], &|_, line| of_prisma(line), Framework::Node);
    look(&SCRIPTS, &of_node, Framework::Node);
    findings.extend(of_rails(source));
    findings
}

fn said(framework: Framework) -> Said {
    Said {
        cause: Cause::Database,
        why: "The database is a file on the dyno's disk: each dyno has one of its own, and it is gone \
              when the dyno stops."
            .to_owned(),
        advice: advice::database(framework),
    }
}

/// Whether something is in it: models, migrations, or a dyno that migrates. Django's own first
/// settings name a file though nothing uses it yet.
fn is_used_by_django(source: &Source) -> bool {
    let models = |file: &Code| file.mentions(&["models.Model)", "(Model)", "AbstractUser)"]);
    let migrates = |file: &Code| file.mentions(&["manage.py migrate"]);
    source.ending(&[".py"]).any(models)
        || source.files.iter().any(|file| file.path.contains("/migrations/0"))
        || source.file("Procfile").is_some_and(migrates)
}

/// Whether Django's databases come from outside wherever that is set.
fn names_its_url(source: &Source) -> bool {
    source.ending(&[".py"]).any(|file| {
        let words = ["DATABASE_URL", "dj_database_url", "env.db(", "django_heroku"];
        file.mentions(&words)
    })
}

fn of_django(file: &Code, line: &Line) -> bool {
    let text = line.text.trim();
    let is_engine = text.contains("\"ENGINE\"") || text.contains("'ENGINE'");
    is_engine
        && text.contains("django.db.backends.sqlite3")
        && !FROM_OUTSIDE.iter().any(|word| text.contains(word))
        && !file.from(line, 0, 3).contains(":memory:")
}

fn of_flask(line: &Line) -> bool {
    let Some((key, value)) = line.text.split_once('=') else { return false };
    key.contains("SQLALCHEMY_DATABASE_URI") && is_file_url(value)
}

/// `SQLAlchemy`'s engines, and the standard library's connections.
fn of_python(file: &Code, line: &Line) -> bool {
    let engine = ["create_engine(", "create_async_engine("];
    let called = engine.iter().any(|call| line.names(call).is_some()) && is_file_url(&line.text);
    let named = line.text.split_once('=').is_some_and(|(key, value)| {
        let key = key.split(':').next().unwrap_or_default().trim();
        let is_name = key.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name && key.to_ascii_uppercase().contains("DATABASE") && is_file_url(value)
    });
    let connects = ["sqlite3.connect(", "aiosqlite.connect("].iter().any(|call| {
        line.names(call).is_some_and(|at| {
            let argument = line.text[at + call.len()..].trim_start();
            argument.starts_with(['"', '\'']) && !is_passing(argument)
        })
    });
    called || connects || (named && file.mentions(&engine) && !key_is_flask(&line.text))
}

fn key_is_flask(text: &str) -> bool {
    text.contains("SQLALCHEMY_DATABASE_URI")
}

/// Whether a text names `SQLite` with a file, as it stands.
fn is_file_url(text: &str) -> bool {
    let Some(at) = text.find("sqlite") else { return false };
    let url = &text[at..];
    let has_path = url.split_once("://").is_some_and(|(_, path)| path.starts_with('/'));
    has_path && !is_passing(url) && !FROM_OUTSIDE.iter().any(|word| text.contains(word))
}

fn is_passing(text: &str) -> bool {
    text.contains(":memory:") || text.contains("mode=memory") || text.contains("/tmp/")
}

fn of_prisma(line: &Line) -> bool {
    let text: String = line.text.split_whitespace().collect();
    text == "provider=\"sqlite\""
}

fn of_node(file: &Code, line: &Line) -> bool {
    if file.mentions(&["DATABASE_URL", "postgres", "mysql"]) {
        return false;
    }
    let literal = |at: usize, call: &str| {
        let argument = line.text[at + call.len()..].trim_start();
        argument.starts_with(['"', '\'', '`']) && !is_passing(argument)
    };
    let driver = line.names("sqlite3.Database(").is_some_and(|at| literal(at, "sqlite3.Database("));
    let better = file.mentions(&["better-sqlite3"])
        && line.bare.contains("new Database(")
        && line.names("Database(").is_some_and(|at| literal(at, "Database("));
    let sequelize =
        ["dialect: \"sqlite\"", "dialect: 'sqlite'"].iter().any(|d| line.text.contains(d))
            && file.mentions(&["storage:"])
            && !file.mentions(&[":memory:"]);
    driver || better || sequelize
}

/// The adapter of production, its own or that of what it takes over. `DATABASE_URL` would win over
/// it, but needs a client of a server, of which there is none then.
fn of_rails(source: &Source) -> Option<Finding> {
    let file = source.file("config/database.yml")?;
    let clients = ["\"pg\"", "'pg'", "mysql2", "trilogy"];
    if source.file("Gemfile").is_none_or(|gems| gems.mentions(&clients)) {
        return None;
    }
    let block = |name: &str| -> Vec<&Line> {
        let start = file.lines.iter().skip_while(|line| !line.text.starts_with(name));
        start
            .skip(1)
            .take_while(|line| line.text.starts_with(' ') || line.text.is_empty())
            .collect()
    };
    let sqlite = |line: &&Line| line.text.trim() == "adapter: sqlite3";
    let production = block("production:");
    let takes_over = production.iter().any(|line| line.text.trim() == "<<: *default");
    let own = production.iter().copied().find(sqlite);
    let inherited = block("default:").into_iter().find(sqlite).filter(|_| takes_over);
    own.or(inherited).map(|line| said(Framework::Rails).at(file, line))
}
