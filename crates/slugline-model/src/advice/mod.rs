//! What to do about files that get lost: a word on it, and one line that can be pasted.

mod adopted;
mod by_class;
mod framework;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use adopted::{Setting, adopted};
pub use by_class::{Advised, advise, of_groups};
pub use framework::Framework;

/// Where files are to be instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// In the slug, made by the build.
    Bake,
    /// In a bucket.
    S3,
    /// In a database.
    Database,
    /// In the app's log.
    Log,
    /// Where they are: nobody misses them.
    Nothing,
}

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Where the files are to be.
    pub way: Way,
    /// What to do, without a full stop: `bake it: add this line to bin/post_compile`.
    pub say: String,
    /// The line to paste; empty where there is nothing to do.
    pub paste: String,
    /// What changes in the app's code or in its config vars; empty where nothing does.
    pub then: String,
}

impl Advice {
    fn new(way: Way, say: &str, paste: &str, then: &str) -> Self {
        let (say, paste, then) = (say.to_owned(), paste.to_owned(), then.to_owned());
        Self { way, say, paste, then }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { say, paste, then, .. } = self;
        f.write_str(say)?;
        if !paste.is_empty() {
            write!(f, ": `{paste}`")?;
        }
        if !then.is_empty() {
            write!(f, ", and in the app: `{then}`")?;
        }
        Ok(())
    }
}

/// What the build is to run, as a line of `bin/post_compile`.
pub fn bake(line: &str) -> Advice {
    Advice::new(Way::Bake, "bake it: add this line to bin/post_compile", line, "")
}

/// What the build is to make, where nobody knows by which command.
fn bake_by_hand() -> Advice {
    let say = "bake it: make it in bin/post_compile, by the command that makes it now";
    Advice::new(Way::Bake, say, "", "")
}

/// The line of `bin/post_compile` that makes an asset of this path (from the app's directory on);
/// none where neither the path nor the framework tells.
pub fn hook_line(framework: Framework, path: &str) -> Option<&'static str> {
    let is_in = |names: &[&str]| path.split('/').any(|part| names.contains(&part));
    if is_in(&["CACHE"]) {
        return Some(COMPRESS);
    }
    if is_in(&["dist", "build", "webpack", ".next", ".nuxt"]) {
        return Some(NPM_BUILD);
    }
    match framework {
        Framework::Django => Some(COLLECTSTATIC),
        Framework::Rails => Some("bundle exec rake assets:precompile"),
        Framework::Flask if is_in(&["gen"]) => Some("flask assets build"),
        Framework::Node | Framework::Next | Framework::Laravel => Some(NPM_BUILD),
        _ if is_in(&["staticfiles"]) => Some(COLLECTSTATIC),
        Framework::Flask | Framework::FastApi | Framework::Unknown => None,
    }
}

/// Collects Django's static files.
pub const COLLECTSTATIC: &str = "python manage.py collectstatic --noinput";
/// Compresses what django-compressor would compress at the first request.
pub const COMPRESS: &str = "python manage.py compress";
/// Builds a client by npm.
pub const NPM_BUILD: &str = "npm run build";

/// Uploads belong in a bucket.
pub fn uploads(framework: Framework) -> Advice {
    let then = match framework {
        Framework::Django => {
            r#"STORAGES["default"] = {"BACKEND": "storages.backends.s3.S3Storage"}"#
        }
        Framework::Rails => "config.active_storage.service = :amazon",
        Framework::Node | Framework::Next => {
            "multer({ storage: multerS3({ s3: new S3Client({}), bucket: process.env.S3_BUCKET }) })"
        }
        Framework::Laravel => "FILESYSTEM_DISK=s3",
        Framework::Flask | Framework::FastApi => {
            r#"boto3.client("s3").upload_fileobj(file, os.environ["S3_BUCKET"], name)"#
        }
        Framework::Unknown => "",
    };
    Advice::new(Way::S3, "move it to S3", "heroku addons:create s3", then)
}

/// A file is no database for a dyno.
pub fn database(framework: Framework) -> Advice {
    let then = match framework {
        Framework::Django => r#"DATABASES = {"default": dj_database_url.config()}"#,
        Framework::Flask => r#"app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]"#,
        Framework::FastApi => r#"create_engine(os.environ["DATABASE_URL"])"#,
        Framework::Rails => "url: <%= ENV[\"DATABASE_URL\"] %>",
        Framework::Node | Framework::Next => {
            "new Pool({ connectionString: process.env.DATABASE_URL })"
        }
        Framework::Laravel => "DB_CONNECTION=pgsql",
        Framework::Unknown => "",
    };
    Advice::new(Way::Database, DATABASE, "heroku addons:create heroku-postgresql", then)
}

const DATABASE: &str = "use a database add-on";

/// Sessions outlive a dyno in a database, or in the cookie itself.
pub fn sessions(framework: Framework) -> Advice {
    let (paste, then) = match framework {
        Framework::Django => (
            "heroku addons:create heroku-postgresql",
            r#"SESSION_ENGINE = "django.contrib.sessions.backends.db""#,
        ),
        Framework::Rails => {
            ("heroku addons:create heroku-redis", "config.session_store :cookie_store")
        }
        Framework::Flask | Framework::FastApi => {
            ("heroku addons:create heroku-redis", r#"app.config["SESSION_TYPE"] = "redis""#)
        }
        Framework::Node | Framework::Next => {
            ("heroku addons:create heroku-redis", "session({ store: new RedisStore({ client }) })")
        }
        Framework::Laravel => ("heroku addons:create heroku-redis", "SESSION_DRIVER=redis"),
        Framework::Unknown => ("heroku addons:create heroku-redis", ""),
    };
    Advice::new(Way::Database, "keep sessions in a database add-on", paste, then)
}

/// What is logged to stdout is in the app's log.
pub fn logs(framework: Framework) -> Advice {
    let (paste, then) = match framework {
        Framework::Django | Framework::Flask | Framework::FastApi => {
            ("heroku logs --tail", "logging.StreamHandler()")
        }
        Framework::Rails => ("heroku config:set RAILS_LOG_TO_STDOUT=1", ""),
        Framework::Laravel => ("heroku config:set LOG_CHANNEL=stderr", ""),
        Framework::Node | Framework::Next => {
            ("heroku logs --tail", "new winston.transports.Console()")
        }
        Framework::Unknown => ("heroku logs --tail", ""),
    };
    let say = match framework {
        Framework::Rails | Framework::Laravel => "log to stdout",
        _ => "log to stdout, which is read by",
    };
    Advice::new(Way::Log, say, paste, then)
}

/// Nobody misses it.
pub fn nothing() -> Advice {
    Advice::new(Way::Nothing, "nothing to do: it is made anew when it is needed", "", "")
}
