//! Which package client an app uses, by what lies in its root.

use super::*;

struct Root(tempfile::TempDir);

impl Root {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        Self(root)
    }

    fn client(&self, json: &str) -> Result<PackageClient, NodejsError> {
        PackageClient::of(self.0.path(), &serde_json::from_str(json).unwrap())
    }

    fn tool(&self, json: &str) -> Result<String, NodejsError> {
        let client = self.client(json)?;
        let tool = client.tool(self.0.path(), &serde_json::from_str(json).unwrap())?;
        Ok(tool.map_or_else(String::new, |t| format!("{}@{}", t.package, t.version)))
    }
}

const BERRY: (&str, &str) = ("yarn.lock", "# Yarn\n\n__metadata:\n  version: 8\n");

#[test]
fn one_lock_file_decides() {
    let client = |files: &[(&str, &str)]| Root::new(files).client("{}");
    assert_eq!(client(&[]).unwrap(), PackageClient::Npm);
    assert_eq!(client(&[("npm-shrinkwrap.json", "")]).unwrap(), PackageClient::Npm);
    assert_eq!(client(&[("yarn.lock", "# yarn v1\n")]).unwrap(), PackageClient::YarnClassic);
    assert_eq!(client(&[BERRY]).unwrap(), PackageClient::YarnBerry { plug_and_play: true });
    let linked = [BERRY, (".yarnrc.yml", "nodeLinker: node-modules\n")];
    assert_eq!(client(&linked).unwrap(), PackageClient::YarnBerry { plug_and_play: false });
    assert_eq!(client(&[("pnpm-lock.yaml", "")]).unwrap(), PackageClient::Pnpm);
    let bun = client(&[("bun.lock", "")]);
    assert!(matches!(bun, Err(NodejsError::UnsupportedLockFile { file: "bun.lock" })));
    let both = client(&[("yarn.lock", ""), ("package-lock.json", "")]);
    assert!(matches!(both, Err(NodejsError::SeveralLockFiles { .. })));
}

#[test]
fn fields_that_name_several_clients_are_an_error() {
    let json = r#"{"engines": {"yarn": "1.x", "npm": "10.x"}}"#;
    let both = Root::new(&[]).client(json);
    assert!(matches!(both, Err(NodejsError::SeveralPackageClients { .. })), "{both:?}");
    let json = r#"{"engines": {"yarn": "1.x"}, "packageManager": "yarn@1.22.22+sha1.00"}"#;
    assert!(Root::new(&[]).client(json).is_ok());
}

#[test]
fn the_version_is_the_apps_or_that_of_its_lock_file() {
    let tool = |files: &[(&str, &str)], json: &str| Root::new(files).tool(json).unwrap();
    let classic = ("yarn.lock", "");
    assert_eq!(tool(&[], "{}"), "");
    assert_eq!(tool(&[classic], "{}"), "yarn@1.22.x");
    assert_eq!(tool(&[classic], r#"{"engines": {"yarn": "~1.22.4"}}"#), "yarn@~1.22.4");
    let asked = r#"{"engines": {"yarn": "3.x"}, "packageManager": "yarn@4.1.0+sha256.00"}"#;
    assert_eq!(tool(&[BERRY], asked), "@yarnpkg/cli-dist@4.1.0");
    let release = [
        BERRY,
        (".yarnrc.yml", "yarnPath: \".yarn/releases/yarn-4.cjs\"\n"),
        (".yarn/releases/yarn-4.cjs", ""),
    ];
    assert_eq!(tool(&release, "{}"), "yarn@1.22.x");
    let missing = Root::new(&release[..2]).tool("{}");
    assert!(matches!(missing, Err(NodejsError::YarnRelease { .. })), "{missing:?}");
    let none = Root::new(&[BERRY]).tool("{}");
    assert!(matches!(none, Err(NodejsError::NoYarnVersion)), "{none:?}");
    let lock = |text| tool(&[("pnpm-lock.yaml", text)], "{}");
    assert_eq!(lock("lockfileVersion: '9.0'\n"), "pnpm@10");
    assert_eq!(lock("lockfileVersion: '6.0'\n"), "pnpm@8");
    assert_eq!(lock("lockfileVersion: 5.4\n"), "pnpm@7");
    let json = r#"{"packageManager": "pnpm@9.1.0"}"#;
    assert_eq!(tool(&[("pnpm-lock.yaml", "")], json), "pnpm@9.1.0");
}
