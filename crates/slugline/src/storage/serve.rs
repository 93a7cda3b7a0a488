//! `slugline storage:serve`: the router answers for an app's uploads out of its bucket.

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;

use super::OfBucket;
use super::bucket::AppBucket;
use crate::builds::App;
use crate::console::say;
use crate::errors::CommandError;

/// What to answer for.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Below which path of the app its uploads are, such as /media/; without it, what is set is shown
    path: Option<String>,
    /// What their keys begin with in the bucket; the path's own name where it is not given
    #[arg(long, value_name = "PREFIX", requires = "path")]
    keys: Option<String>,
    /// Answer with the objects themselves; else browsers are sent to a signed address that is good
    /// for a minute
    #[arg(long, requires = "path")]
    public: bool,
    /// Leave it to the app again
    #[arg(long, conflicts_with = "path")]
    off: bool,
    #[command(flatten)]
    of: OfBucket,
}

impl ServeArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.of.options)?;
        let path = app.path("/media");
        let set = if self.off {
            app.client.send(Method::DELETE, &path, &Value::Null).await?
        } else if let Some(prefix) = &self.path {
            // A rule without a bucket would answer for nothing.
            AppBucket::of(&app, self.of.bucket.as_deref()).await?;
            let body = json!({
                "path": prefix, "keys": self.keys, "bucket": self.of.bucket, "public": self.public,
            });
            app.client.send(Method::PUT, &path, &body).await?
        } else {
            app.client.get(&path).await?
        };
        if self.of.options.json {
            say(&format!("{set:#}"));
        } else {
            say(&told(app.name.as_str(), &set));
        }
        Ok(exit_code::OK)
    }
}

fn told(app: &str, set: &Value) -> String {
    let (Some(path), Some(keys)) = (set["path"].as_str(), set["keys"].as_str()) else {
        return format!(
            "{app} answers for its uploads itself: slugline storage:serve /media/ -a {app}"
        );
    };
    let how = if set["public"] == true {
        "as they are"
    } else {
        "by signed addresses that are good for a minute"
    };
    format!("{path} of {app} is answered with the objects below {keys} in its bucket, {how}")
}
