//! The house rules, as tests: each failure says where, which rule, and what to do.
//!
//! This folder is the one place where forbidden words may stand, because they are listed here.

mod code;
mod documents;
mod files;
mod finding;
mod star;
mod words;

use finding::expect_none;

#[test]
fn crates_form_a_star_around_the_model() {
    expect_none(files::all().iter().flat_map(star::check));
}

#[test]
fn no_rust_file_is_longer_than_the_ceiling() {
    expect_none(files::all().iter().filter_map(code::too_long));
}

#[test]
fn files_and_modules_are_named_after_what_they_hold() {
    expect_none(files::all().iter().flat_map(code::empty_names));
}

#[test]
fn unsafe_code_stays_in_its_one_folder() {
    expect_none(files::all().iter().flat_map(code::stray_unsafe));
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    expect_none(files::all().iter().flat_map(code::unfinished));
}

#[test]
fn one_thing_has_one_word() {
    expect_none(files::all().iter().flat_map(words::check));
}

#[test]
fn lock_files_name_no_registry() {
    expect_none(files::all().iter().flat_map(documents::registries));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let all = files::all();
    expect_none(all.iter().flat_map(|file| documents::dead_links(file, &files::exists)));
}

#[test]
fn the_readme_says_how_to_start_and_how_to_test() {
    let readme = files::one("README.md");
    expect_none(documents::missing_commands(&readme));
}

#[test]
fn ci_runs_the_readmes_test_command() {
    let command = documents::test_command(&files::one("README.md")).expect("a test command");
    expect_none(documents::ci_without(&files::one(".ci/run"), &command));
}

#[test]
fn the_changelog_has_room_for_what_is_not_released() {
    expect_none(documents::no_unreleased(&files::one("CHANGELOG.md")));
}
