//! `slugline conformance buildpack`: published tests, as real builds.

use std::path::Path;
use std::process::Command;

/// A test of each outcome, in the two forms that Heroku's buildpacks publish.
const SHUNIT: &str = r#"
testGreets() {
  cache=$(mktmpdir)
  env_dir=$(mktmpdir)
  echo "Ada Lovelace" > $env_dir/NAME
  compile "plain" $cache $env_dir
  assertCaptured "Hello, Ada Lovelace"
  assertMetricEqualsString "$cache" "name" "Ada Lovelace"
  assertCapturedSuccess
  compile "plain" $cache
  assertCaptured "Hello again"
}

testWaves() {
  compile "plain"
  assertCaptured "A wave"
}

testStartup() {
  executeStartup $env_dir
}
"#;

const HATCHET: &str = r"
RSpec.describe 'Greeting' do
  context 'when the app is broken' do
    let(:app) { Hatchet::Runner.new('test/fixtures/plain', allow_failure: true) }

    it 'fails with a message' do
      app.deploy do |app|
        File.write('broken', 'yes')
        app.commit!
        app.push!
        expect(clean_output(app.output)).to include(<<~OUTPUT)
          remote: -----> Greeting app detected
          remote:  !     Error: #{WHY}
          remote:  !     Push rejected, failed to compile Greeting app.
        OUTPUT
      end
    end
  end
end
";

const COMPILE: &str = r#"#!/bin/bash
[[ -f $1/broken ]] && echo " !     Error: broken" && exit 1
[[ -f $2/seen ]] && echo "Hello again"
touch "$2/seen"
[[ -f $3/NAME ]] && name=$(cat "$3/NAME") && echo "Hello, $name" && echo "$name" > "$2/name"
exit 0
"#;

fn checkout(root: &Path) {
    for (path, text) in [
        ("bin/detect", "#!/bin/sh\necho Greeting\n"),
        ("bin/compile", COMPILE),
        ("bin/report", "#!/bin/sh\necho \"{\\\"name\\\": \\\"$(cat \"$2/name\")\\\"}\"\n"),
        ("bin/release", "#!/bin/sh\nprintf 'default_process_types:\\n  web: sleep 100\\n'\n"),
        ("test/fixtures/plain/README", ""),
        ("test/run", SHUNIT),
        ("spec/spec_helper.rb", "WHY = 'broken'\n"),
        ("spec/hatchet/greeting_spec.rb", HATCHET),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn each_published_test_passes_fails_or_is_said_not_to_be_judged() {
    let root = tempfile::tempdir().unwrap();
    checkout(root.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
    let output = command.args(["conformance", "buildpack"]).arg(root.path()).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "passed      greeting_spec: when the app is broken: fails with a message (2 builds, 1 check)
passed      run: testGreets (2 builds, 4 checks)
failed      run: testWaves (1 build, 1 check)
            build 1: not so: the output holds what begins with \"A wave\"
not judged  run: testStartup (left out: `executeStartup $env_dir` and what follows)

2 of 3 passed; 1 more not judged
",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(1));
}
