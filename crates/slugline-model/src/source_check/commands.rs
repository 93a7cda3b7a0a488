//! Commands that make assets, wherever a command line stands.

use crate::advice::{COLLECTSTATIC, COMPRESS, NPM_BUILD};

use super::Source;

/// What makes an asset when it is run, and the line that a build runs for the same.
const MAKERS: [(&str, &str); 17] = [
    ("collectstatic", COLLECTSTATIC),
    ("manage.py compress", COMPRESS),
    ("django-admin compress", COMPRESS),
    ("npm run build", NPM_BUILD),
    ("npm run-script build", NPM_BUILD),
    ("yarn build", "yarn build"),
    ("yarn run build", "yarn build"),
    ("pnpm build", "pnpm build"),
    ("pnpm run build", "pnpm build"),
    ("next build", NPM_BUILD),
    ("vite build", NPM_BUILD),
    ("react-scripts build", NPM_BUILD),
    ("vue-cli-service build", NPM_BUILD),
    ("webpack", NPM_BUILD),
    ("assets:precompile", "bundle exec rake assets:precompile"),
    ("tailwindcss", NPM_BUILD),
    ("npm run watch", NPM_BUILD),
];

/// The first part of a command line that makes assets, and the line of a hook for it.
pub(super) fn maker(command: &str) -> Option<(&'static str, &'static str)> {
    command.split(['&', ';', '|']).find_map(made_by)
}

/// The same for one command without `&&` and the like.
fn made_by(part: &str) -> Option<(&'static str, &'static str)> {
    let words: Vec<&str> = part.split_whitespace().collect();
    if words.contains(&"--dry-run") || words.contains(&"echo") {
        return None;
    }
    let plain = words.join(" ");
    MAKERS.into_iter().find(|(maker, _)| runs(&plain, maker))
}

/// Whether a command line has these words in it, whole: `webpack-dev-server` is not `webpack`, and
/// `node webpack.config.js` neither.
fn runs(plain: &str, maker: &str) -> bool {
    plain.match_indices(maker).any(|(at, _)| {
        let before = plain[..at].chars().next_back();
        let after = plain[at + maker.len()..].chars().next();
        before.is_none_or(|c| matches!(c, ' ' | '/' | '"' | '\''))
            && after.is_none_or(|c| matches!(c, ' ' | '"' | '\''))
    })
}

/// Whether the build runs one of these: by a hook, or by a script of package.json that it calls.
pub(super) fn build_runs(source: &Source, commands: &[&str]) -> bool {
    let hooks = source.files.iter().filter(|file| {
        let in_hook = file.path.starts_with("bin/") || file.path.starts_with("scripts/");
        in_hook || matches!(file.path.as_str(), "package.json" | "Makefile" | "app.json")
    });
    hooks.into_iter().any(|file| file.mentions(commands))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_makes_assets_is_known_among_others() {
        let hook = |command| maker(command).map(|(_, hook)| hook);
        assert_eq!(
            hook("python manage.py collectstatic --noinput && gunicorn a"),
            Some(COLLECTSTATIC)
        );
        assert_eq!(hook("npx webpack --mode production; node server.js"), Some(NPM_BUILD));
        assert_eq!(hook("yarn build && yarn serve"), Some("yarn build"));
        assert_eq!(hook("python manage.py collectstatic --dry-run"), None);
        assert_eq!(hook("node webpack.config.js"), None);
        assert_eq!(hook("python manage.py checkassets"), None);
        assert_eq!(hook("npx webpack-dev-server"), None);
    }
}
