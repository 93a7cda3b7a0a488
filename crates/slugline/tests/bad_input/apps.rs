//! Tiny apps, each of them right but for one thing.

use super::support::account::Account;
use super::support::scene::Scene;

/// An app in order, that brings its own buildpack and needs no network.
pub(crate) fn good(account: &Account) -> Scene {
    let scene = without_procfile(account);
    scene.write("Procfile", "web: exec python3 -m http.server --bind 0.0.0.0 $PORT\n");
    scene.write("index.html", "on the shelf");
    scene
}

/// Its buildpack has no default either. It has nothing at its root but `bin`, which is no reason to
/// take that for the root.
pub(crate) fn without_procfile(account: &Account) -> Scene {
    let scene = Scene::new(account, "shelf");
    scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
    scene.write("bin/compile", "#!/bin/sh\necho '-----> Nothing to compile'\n");
    scene
}

/// The third line of its Procfile declares nothing.
pub(crate) fn with_broken_procfile(account: &Account) -> Scene {
    let scene = good(account);
    scene.write("Procfile", "# What runs\nweb: true\n= worker\n");
    scene
}

/// No buildpack knows what this is.
pub(crate) fn of_unknown_kind(account: &Account) -> Scene {
    let scene = Scene::new(account, "shelf");
    scene.write("README.md", "# Shelf\n");
    scene.write("src/main.f77", "      END\n");
    scene
}

/// Its lock file does not know the package that it asks for.
pub(crate) fn with_stale_lock_file(account: &Account) -> Scene {
    let scene = Scene::new(account, "shelf");
    let package = |dependencies: &str| {
        format!("\"name\": \"shelf\", \"version\": \"1.0.0\", \"dependencies\": {{{dependencies}}}")
    };
    scene.write("package.json", &format!("{{{}}}", package("\"is-number\": \"7.0.0\"")));
    let lock = format!(
        "{{\"name\": \"shelf\", \"version\": \"1.0.0\", \"lockfileVersion\": 3, \
         \"requires\": true, \"packages\": {{\"\": {{{}}}}}}}",
        package("")
    );
    scene.write("package-lock.json", &lock);
    scene.write("Procfile", "web: node .\n");
    scene
}

/// Its hook fails, and says why on both streams.
pub(crate) fn with_failing_hook(account: &Account) -> Scene {
    let scene = Scene::new(account, "shelf");
    scene.write("requirements.txt", "");
    scene.write("Procfile", "web: true\n");
    let hook = "#!/bin/sh\necho the shelf is wet\necho 'nobody dries it' >&2\nexit 1\n";
    scene.write("bin/post_compile", hook);
    scene
}

/// Its slug needs more room than a disk of 24 MB has left beside the build's own tree: each file is
/// too small to be moved into the store, and different from all others.
pub(crate) fn too_large_for_a_small_disk(account: &Account) -> Scene {
    let scene = good(account);
    let compile = "#!/bin/sh\nfor number in $(seq 32); do\n  \
                   head -c 500000 /dev/urandom >\"$1/$number\" || exit\ndone\n";
    scene.write("bin/compile", compile);
    scene
}
