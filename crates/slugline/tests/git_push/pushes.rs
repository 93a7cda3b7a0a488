//! Pushes that are taken, in all the ways in which people push.

use serde_json::Value;

use crate::person::Person;
use crate::support::api::Api;
use crate::support::cli::Ran;
use crate::support::serving::Serving;
use crate::{scene, serving};

/// What git says of a push that is taken.
fn taken(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.err
}

fn newest_release(api: &Api) -> Value {
    let releases = api.get("/apps/owl/releases");
    releases.as_array().unwrap().last().cloned().unwrap_or_default()
}

fn person(scene: &crate::support::scene::Scene, serving: &Serving<'_>) -> Person {
    Person::new(scene, Some(&serving.api().token))
}

#[test]
fn a_push_is_built_and_its_output_is_told() {
    let scene = scene();
    let serving = serving(&scene);
    let (api, person) = (serving.api(), person(&scene, &serving));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let said = taken(person.git(&tree, &["push", "heroku", "main"]));
    for line in [
        "remote: Building source:",
        "remote: -----> Building on the ",
        "remote:        Released v1",
        " deployed to Slugline",
        "remote: Verifying deploy... done.",
        "* [new branch]      main -> main",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let commit = person.git(&tree, &["rev-parse", "HEAD"]).ok();
    let release = newest_release(&api);
    assert_eq!(release["description"], format!("Deploy {}", &commit[..8]));
    assert_eq!(release["user"]["email"], "owner@localhost");
    assert_eq!(person.branch(&tree, "main").as_deref(), Some(commit.trim()));
    // It is written down once git has ended, which whoever pushes need not wait for.
    let size = || api.get("/apps/owl")["repo_size"].as_u64().filter(|size| *size > 0);
    crate::support::wait_for("the repository's size", std::time::Duration::from_secs(30), size);
    let audit = api.get("/apps/owl/audit").to_string();
    assert!(audit.contains(&format!("push main {}", &commit[..8])), "{audit}");
    // And back again.
    person.git(person.home(), &["clone", "-q", &url(&scene), "back"]).ok();
    assert!(person.home().join("back/Procfile").is_file());
    assert_eq!(taken(person.git(&tree, &["push", "heroku", "main"])), "Everything up-to-date\n");
}

fn url(scene: &crate::support::scene::Scene) -> String {
    format!("https://localhost:{}/owl.git", scene.api_port)
}

#[test]
fn main_and_master_are_built_and_other_branches_are_kept() {
    let scene = scene();
    let serving = serving(&scene);
    let (api, person) = (serving.api(), person(&scene, &serving));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let said = taken(person.git(&tree, &["push", "heroku", "main:topic"]));
    assert!(said.contains("remote: Pushed to non-main branch, skipping build."), "{said}");
    assert_eq!(newest_release(&api)["version"], Value::Null);
    taken(person.git(&tree, &["push", "heroku", ":topic"]));
    assert_eq!(person.branch(&tree, "topic"), None);
    taken(person.git(&tree, &["push", "heroku", "main:master"]));
    assert_eq!(newest_release(&api)["version"], 1);
    person.git(person.home(), &["clone", "-q", &url(&scene), "back"]).ok();
    assert!(person.home().join("back/Procfile").is_file(), "master is what a clone has");
    let refused = person.git(&tree, &["push", "heroku", ":master"]);
    assert!(refused.err.contains("master cannot be deleted"), "{refused:?}");
    assert_eq!(refused.code, Some(1));
    person.git(&tree, &["tag", "v1"]).ok();
    taken(person.git(&tree, &["push", "heroku", "v1"]));
    let refused = person.git(&tree, &["push", "heroku", "main:refs/notes/x"]);
    assert!(refused.err.contains("neither a branch nor a tag"), "{refused:?}");
    assert_eq!(newest_release(&api)["version"], 1);
}

#[test]
fn history_is_rewritten_by_force_and_clones_may_be_shallow() {
    let scene = scene();
    let serving = serving(&scene);
    let (api, person) = (serving.api(), person(&scene, &serving));
    let tree = person.work_tree("owl");
    for number in 0..3 {
        person.commit(&tree, "number", &number.to_string());
    }
    let origin = format!("file://{}", tree.display());
    let home = person.home();
    person.git(home, &["clone", "-q", "--depth", "1", &origin, "shallow"]).ok();
    let shallow = home.join("shallow");
    person.remote(&shallow, "owl");
    taken(person.git(&shallow, &["push", "heroku", "main"]));
    assert_eq!(newest_release(&api)["version"], 1);
    let last = person.commit(&shallow, "number", "from a shallow clone");
    taken(person.git(&shallow, &["push", "heroku", "main"]));
    assert_eq!(person.branch(&shallow, "main"), Some(last));
    // The whole history, and another one.
    person.remote(&tree, "owl");
    person.commit(&tree, "number", "another");
    let refused = person.git(&tree, &["push", "heroku", "main"]);
    assert!(refused.err.contains("rejected"), "{refused:?}");
    taken(person.git(&tree, &["push", "--force", "heroku", "main"]));
    person.git(&tree, &["commit", "-q", "--amend", "-m", "Another message"]).ok();
    let said = taken(person.git(&tree, &["push", "-f", "heroku", "main"]));
    assert!(said.contains("(forced update)"), "{said}");
    assert_eq!(newest_release(&api)["version"], 4);
    let head = person.git(&tree, &["rev-parse", "HEAD"]).ok();
    assert_eq!(person.branch(&tree, "main").as_deref(), Some(head.trim()));
}

#[test]
fn all_of_a_commit_is_built_and_what_is_elsewhere_is_named() {
    let scene = scene();
    let serving = serving(&scene);
    let person = person(&scene, &serving);
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    std::fs::write(tree.join("kept"), "kept").unwrap();
    person.commit(&tree, ".gitattributes", "kept export-ignore\n*.bin filter=lfs\n");
    let version = "version https://git-lfs.github.com/spec/v1";
    let pointer = format!("{version}\noid sha256:{}\nsize 1\n", "00".repeat(32));
    person.commit(&tree, "big.bin", &pointer);
    let commit = person.git(&tree, &["rev-parse", "HEAD"]).ok();
    let link = format!("160000,{},vendor/lib", commit.trim());
    person.git(&tree, &["update-index", "--add", "--cacheinfo", &link]).ok();
    person.git(&tree, &["commit", "-q", "-m", "A submodule"]).ok();
    let said = taken(person.git(&tree, &["push", "heroku", "main"]));
    assert!(said.contains("vendor/lib is a submodule without a URL"), "{said}");
    assert!(said.contains("big.bin is kept by git-lfs"), "{said}");
    let tree = serving.api().get("/apps/owl/slugs/current/tree?depth=9");
    let names: Vec<&str> = tree["children"].as_array().unwrap().iter().map(path).collect();
    assert!(names.contains(&"kept"), "what is not exported is built as well: {names:?}");
}

fn path(item: &Value) -> &str {
    item["path"].as_str().unwrap()
}
