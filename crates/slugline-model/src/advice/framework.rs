//! What an app is written with, as far as advice depends on it.

use serde::{Deserialize, Serialize};

/// A framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framework {
    /// Django.
    Django,
    /// Flask.
    Flask,
    /// `FastAPI`, or another app of Starlette's.
    FastApi,
    /// Ruby on Rails.
    Rails,
    /// Next.js.
    Next,
    /// Express, or anything else on Node.js.
    Node,
    /// Laravel.
    Laravel,
    /// None of these, or not known.
    #[default]
    Unknown,
}

impl Framework {
    /// Decides by the names of files, from the app's directory on, and by the names of what the app
    /// depends on.
    pub fn of<'a>(
        files: impl IntoIterator<Item = &'a str>,
        dependencies: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let by_file = files.into_iter().filter_map(by_file);
        let by_dependency = dependencies.into_iter().filter_map(by_dependency);
        // A Django app with a client of React's has a package.json too: the server comes first.
        by_file.chain(by_dependency).min().unwrap_or_default()
    }

    /// Decides by the paths of a slug, in which dependencies are installed.
    pub fn of_slug<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let of_path = |path| match installed(path) {
            Some(dependency) => by_dependency(dependency),
            None => by_file(path),
        };
        paths.into_iter().filter_map(of_path).min().unwrap_or_default()
    }
}

fn by_file(path: &str) -> Option<Framework> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match (path, name) {
        ("manage.py", _) => Some(Framework::Django),
        ("artisan", _) => Some(Framework::Laravel),
        ("config/application.rb", _) => Some(Framework::Rails),
        ("package.json" | "server.js", _) => Some(Framework::Node),
        (_, "next.config.js" | "next.config.mjs" | "next.config.ts") if path == name => {
            Some(Framework::Next)
        }
        _ => None,
    }
}

fn by_dependency(name: &str) -> Option<Framework> {
    match name.to_ascii_lowercase().as_str() {
        "django" => Some(Framework::Django),
        "flask" => Some(Framework::Flask),
        "fastapi" | "starlette" => Some(Framework::FastApi),
        "rails" | "railties" => Some(Framework::Rails),
        "next" => Some(Framework::Next),
        "express" | "koa" | "fastify" => Some(Framework::Node),
        "laravel/framework" => Some(Framework::Laravel),
        _ => None,
    }
}

/// The dependency that a path of a slug belongs to.
fn installed(path: &str) -> Option<&str> {
    if let Some((_, below)) = path.split_once("site-packages/") {
        return below.split('/').next();
    }
    if let Some(below) = path.strip_prefix("vendor/") {
        let end = below.match_indices('/').nth(1).map_or(below.len(), |(at, _)| at);
        let gem = path.split_once("/gems/").and_then(|(_, gem)| gem.split('/').next());
        return Some(gem.map_or(&below[..end], |gem| gem.split_once('-').map_or(gem, |(n, _)| n)));
    }
    let below = path.split_once("node_modules/").map(|(_, below)| below)?;
    below.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_decides_and_not_its_client() {
        let of = |files: &[&str], dependencies: &[&str]| {
            Framework::of(files.iter().copied(), dependencies.iter().copied())
        };
        assert_eq!(of(&["manage.py", "package.json"], &["next"]), Framework::Django);
        assert_eq!(of(&["package.json"], &["express"]), Framework::Node);
        assert_eq!(of(&["package.json"], &["next", "express"]), Framework::Next);
        assert_eq!(of(&["main.py"], &["FastAPI"]), Framework::FastApi);
        assert_eq!(of(&["artisan"], &[]), Framework::Laravel);
        assert_eq!(of(&["a/manage.py", "app.py"], &["bottle"]), Framework::Unknown);
    }

    #[test]
    fn a_slug_tells_by_what_is_installed_in_it() {
        let of = |path: &str| Framework::of_slug([path]);
        let python = ".heroku/python/lib/python3.13/site-packages";
        assert_eq!(of(&format!("{python}/flask/app.py")), Framework::Flask);
        assert_eq!(of(&format!("{python}/jinja2/a.py")), Framework::Unknown);
        assert_eq!(of("node_modules/next/package.json"), Framework::Next);
        assert_eq!(of("vendor/ruby/3.3.0/gems/rails-8.0.1/a.rb"), Framework::Rails);
        assert_eq!(of("vendor/laravel/framework/a.php"), Framework::Laravel);
        assert_eq!(of("node_modules/express/server.js"), Framework::Node);
    }
}
