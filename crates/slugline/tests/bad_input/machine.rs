//! Failures whose move is the operator's.

use std::net::TcpListener;
use std::process::Command;

use slugline_model::build::exit_code;

use super::support::account::Account;
use super::support::scene::Scene;
use super::support::server::Server;
use super::{Expected, apps, expect_failure, expect_failure_of};

#[test]
fn a_port_that_is_taken_is_named_with_the_option_that_changes_it() {
    for account in Account::all() {
        let scene = apps::good(&account);
        let _taken = TcpListener::bind(("127.0.0.1", scene.port)).expect("the port was free");
        let port = scene.port.to_string();
        let says = [port.as_str(), "already taken", "--port", "Nothing was started or changed."];
        expect_failure(&scene, &Expected { code: exit_code::INTERNAL, says: &says });
    }
}

#[test]
fn a_data_directory_that_is_a_file_is_named() {
    for account in Account::all() {
        let scene = apps::good(&account);
        std::fs::write(scene.data(), "").expect("the scene is ours");
        account.own(&scene.data());
        expect_unusable_data(&scene);
    }
}

/// Root writes wherever it likes, so only an ordinary user can meet this.
#[test]
fn a_data_directory_that_may_not_be_written_to_is_named() {
    for account in Account::all().iter().filter(|account| !account.is_root()) {
        let scene = apps::good(account);
        let data = scene.data();
        std::fs::create_dir(&data).expect("the scene is ours");
        account.own(&data);
        let mode = |mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&data, permissions).expect("the directory is ours");
        };
        mode(0o500);
        expect_unusable_data(&scene);
        mode(0o700);
    }
}

fn expect_unusable_data(scene: &Scene) {
    let data = scene.data().display().to_string();
    let says = [data.as_str(), "--data-dir", "Nothing was started or changed."];
    expect_failure(scene, &Expected { code: exit_code::INTERNAL, says: &says });
}

#[test]
fn a_kernel_that_forbids_user_namespaces_is_told_with_the_switch_that_allows_them() {
    for account in Account::all() {
        let scene = apps::good(&account);
        let forbid = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"";
        let program = apart(&scene, &["-Ur"], forbid);
        let says =
            ["user namespaces", "sysctl -w user.max_user_namespaces=", "Nothing was released."];
        let expected = Expected { code: exit_code::INTERNAL, says: &says };
        expect_failure_of(Server::start_with(&scene, program), &expected);
    }
}

#[test]
fn a_disk_that_fills_up_while_a_slug_is_packed_is_told_and_releases_nothing() {
    for account in Account::all() {
        let scene = apps::too_large_for_a_small_disk(&account);
        std::fs::create_dir(scene.data()).expect("the scene is ours");
        account.own(&scene.data());
        let data = scene.data().display().to_string();
        let mount = format!("mount -t tmpfs -o size=24m,mode=700 tmpfs '{data}' && exec \"$@\"");
        let program = apart(&scene, &["-Urm"], &mount);
        let says = [
            "-----> Compressing",
            "The slug was built but could not be stored",
            "no space is left",
            &format!("df -h {data}"),
            "Nothing was released.",
        ];
        let expected = Expected { code: exit_code::PACK, says: &says };
        expect_failure_of(Server::start_with(&scene, program), &expected);
    }
}

/// Slugline in namespaces of its own, after a script that prepares them and becomes it.
fn apart(scene: &Scene, namespaces: &[&str], script: &str) -> Command {
    let mut command = scene.account.command("unshare");
    command.args(namespaces).args(["sh", "-c", script, "sh"]).arg(scene.program());
    command
}
