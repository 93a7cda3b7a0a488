//! Real builds on a server of our own: a temporary data directory, the Platform API, the sandbox.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::domain::LOCAL;
use slugline_model::mirror::{Mirror, MirrorTarget};

use super::judge::{Built, as_pushed};
use crate::ServerArgs;
use crate::client::Client;
use crate::configuration::Configuration;
use crate::errors::CommandError;
use crate::limit_args::LimitArgs;
use crate::server::Server;
use crate::source::pack;

/// Where builds find the buildpack that is tested: a mirror leads there, so that it is fetched as
/// any other is. The domain is reserved and never exists.
const TESTED: &str = "https://buildpack.invalid/";

/// A private server and the buildpack that it tests.
pub(super) struct Builds {
    server: Server,
    client: Client,
    /// Data, and the buildpack's archive.
    place: tempfile::TempDir,
    /// How builds ask for the buildpack that is tested.
    tested: String,
    stack: String,
}

impl Builds {
    /// Starts the server. With `builtin`, our own buildpack of that name is tested.
    pub(super) async fn start(
        buildpack: &Path,
        builtin: Option<&str>,
        config: Option<&Path>,
    ) -> Result<Self, CommandError> {
        let place = tempfile::tempdir().map_err(source_error(buildpack))?;
        let archives = place.path().join("archives");
        fs_err::create_dir(&archives).map_err(source_error(buildpack))?;
        let packed = pack(buildpack, Path::new(""), place.path())?;
        let archive = archives.join("buildpack.tgz");
        fs_err::write(&archive, packed.tgz).map_err(source_error(&archive))?;
        let data_dir = place.path().join("data");
        let mut configuration = Configuration::load(config, &data_dir)?;
        let to = MirrorTarget::Directory(archives);
        configuration.mirrors.push(Mirror { from: TESTED.to_owned(), to });
        let (port, api_port) = (free_port()?, free_port()?);
        let args = ServerArgs {
            data_dir: Some(data_dir),
            config: None,
            domain: LOCAL.to_owned(),
            bind: Ipv4Addr::LOCALHOST.into(),
            port,
            api_port,
            s3_port: None,
            tls_port: None,
            runtime_metrics: false,
            limits: LimitArgs::default(),
        };
        let stack = configuration.stack.clone();
        let server = Server::start_configured(&args, configuration).await?;
        let client = Client::new(server.api_port, server.token.clone());
        let tested = builtin
            .map_or_else(|| format!("{TESTED}buildpack.tgz"), |name| format!("heroku/{name}"));
        Ok(Self { server, client, place, tested, stack })
    }

    /// A directory for an app's source.
    pub(super) fn source(&self) -> Result<tempfile::TempDir, CommandError> {
        let place = self.place.path();
        tempfile::tempdir_in(place).map_err(source_error(place))
    }

    /// How builds ask for the buildpack that is tested.
    pub(super) fn tested(&self) -> &str {
        &self.tested
    }

    /// What is announced to it as the stack.
    pub(super) fn stack(&self) -> &str {
        &self.stack
    }

    /// Makes an app.
    pub(super) async fn create(&self, app: &str) -> Result<(), CommandError> {
        self.client.send(Method::POST, "/apps", &json!({ "name": app })).await.map(drop)
    }

    /// Removes an app, with what it runs and keeps.
    pub(super) async fn destroy(&self, app: &str) -> Result<(), CommandError> {
        self.client.send(Method::DELETE, &format!("/apps/{app}"), &json!({})).await.map(drop)
    }

    /// Makes these all the config vars that an app has.
    pub(super) async fn set(
        &self,
        app: &str,
        vars: &[(String, String)],
    ) -> Result<(), CommandError> {
        let path = format!("/apps/{app}/config-vars");
        let known = self.client.get(&path).await?;
        let known = known.as_object().into_iter().flat_map(|vars| vars.keys().cloned());
        let mut wanted: serde_json::Map<String, Value> =
            known.map(|name| (name, Value::Null)).collect();
        wanted.extend(vars.iter().map(|(name, value)| (name.clone(), json!(value))));
        self.client.send(Method::PATCH, &path, &Value::Object(wanted)).await.map(drop)
    }

    /// Builds a directory, and waits for the end.
    pub(super) async fn build(
        &self,
        app: &str,
        source: &Path,
        buildpacks: &[String],
    ) -> Result<Built, CommandError> {
        let packed = pack(source, Path::new(""), self.place.path())?;
        let place = self.client.send(Method::POST, "/sources", &json!({})).await?;
        let urls = &place["source_blob"];
        self.client.put(urls["put_url"].as_str().unwrap_or_default(), packed.tgz).await?;
        let asked: Vec<Value> = buildpacks.iter().map(|url| json!({ "url": url })).collect();
        let body = json!({ "source_blob": { "url": urls["get_url"] }, "buildpacks": asked });
        let build = self.client.send(Method::POST, &format!("/apps/{app}/builds"), &body).await?;
        let output = self.output(&build).await?;
        let path = format!("/apps/{app}/builds/{}", build["id"].as_str().unwrap_or_default());
        let build = self.client.get(&path).await?;
        // Heroku takes an app with nothing to run; we refuse it once its buildpacks are through.
        let only_idle = build["exit_code"] == exit_code::PROCESS_TYPES;
        let reports = build["reports"].as_array().cloned().unwrap_or_default();
        Ok(Built {
            succeeded: build["status"] == "succeeded" || only_idle,
            output: as_pushed(&output, buildpacks),
            reports: reports.iter().map(|report| report["report"].clone()).collect(),
        })
    }

    async fn output(&self, build: &Value) -> Result<String, CommandError> {
        let url = build["output_stream_url"].as_str().unwrap_or_default();
        // The output begins a moment after the build.
        let mut lines = loop {
            if let Some(lines) = self.client.lines(url).await? {
                break lines;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let mut output = String::new();
        while let Some(line) = lines.next().await {
            output.push_str(&line);
            output.push('\n');
        }
        Ok(output)
    }

    /// Stops the server and all that it runs.
    pub(super) async fn stop(self) {
        self.server.platform.stop_all().await;
    }
}

/// A port that was free just now.
fn free_port() -> Result<u16, CommandError> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0));
    let address = listener.and_then(|listener| listener.local_addr());
    let here = Ipv4Addr::LOCALHOST.into();
    let error = |source| CommandError::Listen { address: here, port: 0, flag: "--port", source };
    address.map(|address| address.port()).map_err(error)
}

fn source_error(path: &Path) -> impl Fn(std::io::Error) -> CommandError {
    let path: PathBuf = path.to_path_buf();
    move |source| CommandError::Source { path: path.clone(), source }
}
