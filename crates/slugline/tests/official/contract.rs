//! The classic buildpack API as Heroku's buildpacks use it, between two of them.

use std::process::Command;

use super::support::account::{Account, run};
use super::{Place, commit};

/// What heroku-buildpack-python and -nodejs do with the directories that they are given.
const FIRST: &str = r#"#!/usr/bin/env bash
set -euo pipefail
BP_DIR=$(cd "$(dirname "$0")/.." && pwd)
echo "-----> The environment"
env | grep -vE '^(_|PWD|OLDPWD|SHLVL|REQUEST_ID|SOURCE_VERSION)=' |
	grep -viE '^(.*_proxy|ssl_.*|pip_.*|uv_.*|npm_.*|.*ca_.*|git_ssl.*|nodejs_org.*)=' |
	sed -E 's/^DYNO=run\.[0-9]{4}$/DYNO=run.NNNN/' | LC_ALL=C sort
echo "$(locale charmap) $(printf 'é' | wc -m)"
echo "-----> The directories"
echo "$#: $1 $2 ${3%/*}"
[[ $BP_DIR =~ ^/tmp/codon/tmp/buildpacks/[0-9a-f]{40}$ && -w $BP_DIR ]] && echo "writable buildpack"
[[ $(df --output=target "$1" | tail -1) == $(df --output=target "$2" | tail -1) ]] && echo "one file system"
[[ $(realpath "$1") != $(realpath /app) && -w /app ]] && echo "/app is another directory"
echo "-----> A runtime"
mkdir -p /app/.heroku "$1/.heroku/runtime/bin"
ln -nsf "$1/.heroku/runtime" /app/.heroku/runtime
printf '#!/app/.heroku/runtime/bin/sh\necho "tool at $0"\n' > "$1/.heroku/runtime/bin/tool"
ln -s /bin/sh "$1/.heroku/runtime/bin/sh"
chmod +x "$1/.heroku/runtime/bin/tool"
/app/.heroku/runtime/bin/tool
[[ -f $2/tool ]] && echo "cached: $(stat -c %h "$2/tool")"
ln -f "$1/.heroku/runtime/bin/tool" "$2/tool" && echo "links: $(stat -c %h "$2/tool")"
echo "-----> The log"
echo "for the operator" >&3
echo "again" >> "$BUILDPACK_LOG_FILE"
echo 'export PATH="/app/.heroku/runtime/bin:$PATH" LIST="a
b"' > "$BP_DIR/export"
"#;

const SECOND: &str = "#!/usr/bin/env bash
tool
echo \"$LIST\"
[[ -z ${GIT_DIR+x} ]] && echo 'no GIT_DIR'
";

/// A buildpack in a repository of its own, below a mirror.
fn buildpack(place: &Place, name: &str, scripts: &[(&str, &str)]) {
    for (script, text) in scripts {
        let path = place.file(&format!("github/{name}.git/bin/{script}"), text);
        run(Command::new("chmod").arg("+x").arg(path));
    }
    commit(&place.path(&format!("github/{name}.git")));
}

#[test]
fn two_buildpacks_get_what_heroku_promises_and_hand_on_what_they_export() {
    for account in Account::all() {
        let mut place = Place::new(&account);
        let detect = ("detect", "#!/bin/sh\necho Runtime\n");
        let report = ("report", "#!/bin/sh\necho '{\"tool\": 1}'\n");
        buildpack(&place, "first", &[detect, report, ("compile", FIRST)]);
        buildpack(&place, "second", &[("detect", "#!/bin/sh\necho Tools\n"), ("compile", SECOND)]);
        place.mirror("https://github.example/", "github");
        place.scene.write(
            ".buildpacks",
            "https://github.example/first.git#main\nhttps://github.example/second\n",
        );
        let printed = place.build();
        assert_eq!(
            printed,
            "\
-----> Building on the Host stack, announced as heroku-24
-----> Using buildpacks:
       1. https://github.example/first.git#main
       2. https://github.example/second
-----> Runtime app detected
-----> The environment
BUILDPACK_LOG_FILE=/dev/fd/3
DYNO=run.NNNN
HOME=/app
LANG=en_US.UTF-8
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
STACK=heroku-24
UTF-8 1
-----> The directories
3: $BUILD_DIR /tmp/codon/tmp/cache /tmp
writable buildpack
one file system
/app is another directory
-----> A runtime
tool at /app/.heroku/runtime/bin/tool
links: 2
-----> The log
-----> Tools app detected
tool at /app/.heroku/runtime/bin/tool
a
b
no GIT_DIR
",
            "as {account}"
        );
    }
}

#[test]
fn the_two_outputs_of_a_buildpack_stay_in_order() {
    let lines: String =
        (0..300).flat_map(|n| [format!("out {n}\n"), format!("error {n}\n")]).collect();
    for account in Account::all() {
        let place = Place::new(&account);
        place.scene.write("bin/detect", "#!/bin/sh\necho Inline\n");
        let both =
            "#!/bin/bash\nfor n in {0..299}; do echo \"out $n\"; echo \"error $n\" >&2; done\n";
        place.scene.write("bin/compile", both);
        let printed = place.build();
        let printed = printed.split_once("app detected\n").unwrap().1;
        assert_eq!(printed, lines, "as {account}");
    }
}
