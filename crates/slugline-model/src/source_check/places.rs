//! Which files of a source say something about the app as it runs.

/// Larger files are data, or were made by a program (bytes).
pub const LARGEST: u64 = 512 << 10;

/// Directories whose files others wrote, or that only tests, tools and developers use.
const NO_EVIDENCE: [&str; 30] = [
    "node_modules",
    "bower_components",
    "site-packages",
    "vendor",
    "venv",
    ".venv",
    "env",
    ".env.d",
    "virtualenv",
    ".git",
    ".hg",
    ".tox",
    ".nox",
    ".next",
    ".nuxt",
    "__pycache__",
    "dist",
    "build",
    "staticfiles",
    "test",
    "tests",
    "testing",
    "__tests__",
    "spec",
    "specs",
    "e2e",
    "cypress",
    "fixtures",
    "docs",
    "examples",
];

/// Words in names of files for tests and for development.
const NOT_LIVE: [&str; 12] = [
    "test",
    "tests",
    "spec",
    "stories",
    "conftest",
    "dev",
    "devel",
    "development",
    "local",
    "ci",
    "example",
    "sample",
];

/// Files that are code, or that tell how the app is built and started.
const ENDINGS: [&str; 18] = [
    ".py", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".rb", ".php", ".prisma",
    ".sh", ".toml", ".yml", ".html", ".jinja", ".ini",
];

const NAMES: [&str; 13] = [
    "Procfile",
    "package.json",
    "app.json",
    "composer.json",
    "requirements.txt",
    "requirements.in",
    "Pipfile",
    "Gemfile",
    "Makefile",
    "Dockerfile",
    ".env",
    "collectstatic_disabled",
    "Rakefile",
];

/// Whether a file of a source, by its path from the top, may say something about the running app.
pub fn is_evidence(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    // `bin/` holds hooks and start scripts, whatever they are called.
    let is_script = path.starts_with("bin/") || path.starts_with("scripts/");
    let is_listed = is_script
        || NAMES.contains(&name)
        || ENDINGS.iter().any(|end| name.ends_with(end))
        || (name.starts_with("requirements") && has_ending(name, &["txt"]))
        || path.starts_with("requirements/");
    let is_minified = name.contains(".min.");
    is_listed
        && !is_minified
        && !directory.split('/').any(|part| NO_EVIDENCE.contains(&part))
        && !is_for_development(path)
}

/// Whether a name ends so, behind a dot.
pub(super) fn has_ending(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
}

fn is_for_development(path: &str) -> bool {
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.starts_with("docker-compose") || name == "compose.yml" {
        return true;
    }
    let words = stem(name);
    let mut words = words.split(['_', '-', '.']);
    words.any(|word| NOT_LIVE.contains(&word.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_the_app_is_evidence_and_that_of_others_is_not() {
        for path in [
            "shop/settings.py",
            "Procfile",
            "bin/post_compile",
            "config/database.yml",
            "package.json",
            "server.js",
            "shop/settings/production.py",
            "requirements/production.txt",
        ] {
            assert!(is_evidence(path), "{path}");
        }
        for path in [
            "node_modules/multer/index.js",
            ".venv/lib/python3.13/site-packages/x/settings.py",
            "shop/tests/test_upload.py",
            "shop/tests.py",
            "test_settings.py",
            "shop/settings/dev.py",
            "settings_local.py",
            "config/environments/development.rb",
            "src/app.test.ts",
            "logo.png",
            "static/jquery.min.js",
            "client/dist/main.js",
            "docker-compose.yml",
            "README.md",
        ] {
            assert!(!is_evidence(path), "{path}");
        }
    }
}
