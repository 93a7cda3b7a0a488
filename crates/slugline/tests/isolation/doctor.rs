//! What `slugline doctor` says of dynos' networks, on a machine that is connected to nothing.

use std::process::Command;

use super::support::account::Account;
use super::support::scene::Scene;

/// A new network forwards what others send if the machine does.
const ALONE: &str = "echo 0 > /proc/sys/net/ipv4/ip_forward; exec \"$@\"";

/// Runs it in a network of its own, which only root can make.
fn doctor_alone(account: &Account) -> String {
    let scene = Scene::new(account, "shelf");
    let asked = account.command(scene.program());
    let mut alone = Command::new("unshare");
    alone.args(["--net", "sh", "-c", ALONE, "sh"]);
    alone.arg(asked.get_program()).args(asked.get_args()).arg("doctor");
    for (name, value) in asked.get_envs() {
        value.map(|value| alone.env(name, value));
    }
    let output = alone.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn dynos_start_on_a_machine_that_is_connected_to_nothing() {
    for account in Account::all() {
        let said = doctor_alone(&account);
        assert!(said.contains("ok    a dyno starts"), "{said}");
        if account.is_root() {
            assert!(said.contains("ok    dynos reach the outside by interfaces"), "{said}");
            assert!(said.contains("net.ipv4.ip_forward is 0 here"), "{said}");
        } else {
            assert!(said.contains("none  dynos reach nobody now: pasta: No external"), "{said}");
        }
    }
}
