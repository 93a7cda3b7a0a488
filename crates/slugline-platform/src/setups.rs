//! Apps that are set up from a source: what its app.json asks for, a build, and a script.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use slugline_model::app_setup::{Setup, SetupAddon, parse};
use slugline_model::build::BuildStatus;
use slugline_model::config_vars::{self, ConfigVars};
use slugline_model::name::{DynoName, ProcessType};
use slugline_model::resources::DynoSize;
use uuid::Uuid;

use crate::addons::{AddOnError, NewAddOn, NewAttachment};
use crate::builds::Inputs;
use crate::clock;
use crate::db::app::App;
use crate::db::app_setup::AppSetup;
use crate::db::build::SourceBlob;
use crate::db::{self, DbError};
use crate::dynos::Role;
use crate::one_off::Ending;
use crate::platform::Platform;
use crate::reconcile::millis;

/// The most of a source that is read to find its app.json (bytes).
const SEARCHED: u64 = 2 << 30;

/// The largest app.json (bytes).
const LARGEST: u64 = 1 << 20;

/// The most of a script's output that is kept (bytes).
const OUTPUT: usize = 64 << 10;

/// How often a build is looked at.
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// What an app is set up with.
pub(crate) struct SetupRequest {
    pub(crate) blob: SourceBlob,
    pub(crate) source: PathBuf,
    /// Of app.json: `review`.
    pub(crate) environment: Option<&'static str>,
    /// Values for config vars.
    pub(crate) env: ConfigVars,
    /// Instead of those that app.json names; empty for these.
    pub(crate) buildpacks: Vec<String>,
}

/// Why a setup came to nothing, in one sentence.
pub(crate) struct Failure(pub(crate) String);

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        tracing::error!(?error, "an app could not be set up");
        Self("The server met an error of its own; its log says more.".to_owned())
    }
}

impl From<AddOnError> for Failure {
    fn from(error: AddOnError) -> Self {
        Self(format!("An add-on could not be had: {error}."))
    }
}

impl Platform {
    /// Sets an app up that is there already and empty; it goes on by itself.
    pub(crate) async fn set_up(
        &self,
        app: &App,
        request: SetupRequest,
    ) -> Result<AppSetup, DbError> {
        let path = request.source.clone();
        let text = self.blocking(move |_| app_json(&path)).await;
        let text = text.unwrap_or_else(|| "{}".to_owned());
        let read = parse(&text, request.environment, &request.env);
        let now = clock::now();
        let mut setup = AppSetup {
            id: Uuid::new_v4(),
            app_id: Some(app.id),
            build_id: None,
            status: "pending".to_owned(),
            failure: None,
            errors: vec![],
            success_url: None,
            postdeploy: None,
            created_at: now,
            updated_at: now,
        };
        let wanted = match read {
            Ok(wanted) => wanted,
            Err(errors) => {
                "failed".clone_into(&mut setup.status);
                setup.failure = Some("app.json cannot be used as it is.".to_owned());
                setup.errors = errors;
                self.inner.db.transaction(|db| db::app_setup::put(db, &setup))?;
                return Ok(setup);
            }
        };
        setup.success_url.clone_from(&wanted.success_url);
        self.inner.db.transaction(|db| db::app_setup::put(db, &setup))?;
        let (platform, app, mut going) = (self.clone(), app.clone(), setup.clone());
        tokio::spawn(async move {
            let ended = platform.go_on_setting_up(&app, &mut going, wanted, request).await;
            going.failure = ended.err().map(|Failure(why)| why);
            let status = if going.failure.is_some() { "failed" } else { "succeeded" };
            status.clone_into(&mut going.status);
            platform.note_setup(&mut going);
        });
        Ok(setup)
    }

    fn note_setup(&self, setup: &mut AppSetup) {
        setup.updated_at = clock::now();
        if let Err(error) = self.inner.db.transaction(|db| db::app_setup::put(db, setup)) {
            tracing::error!(?error, "how an app is set up could not be written down");
        }
    }

    async fn go_on_setting_up(
        &self,
        app: &App,
        setup: &mut AppSetup,
        wanted: Setup,
        request: SetupRequest,
    ) -> Result<(), Failure> {
        let buildpacks = self.prepare_app(app, &wanted, request.buildpacks).await?;
        let inputs = Inputs { source: request.blob, buildpacks, ..Inputs::default() };
        let build = self.start_build(app, inputs, request.source)?;
        setup.build_id = Some(build.id);
        self.note_setup(setup);
        if self.wait_for_build(app, build.id).await? != BuildStatus::Succeeded {
            return Err(Failure("The build failed; its output says why.".to_owned()));
        }
        self.set_first_formation(app, &wanted.formation)?;
        if let Some(command) = &wanted.postdeploy {
            setup.postdeploy = Some(self.postdeploy(app, command).await?);
            if setup.postdeploy.as_ref().is_some_and(|(status, _)| *status != 0) {
                return Err(Failure("The postdeploy script failed.".to_owned()));
            }
        }
        Ok(())
    }

    /// Gives an app what it has before its first build: config vars, add-ons, and its buildpacks,
    /// which are those that are asked for, if any are.
    pub(crate) async fn prepare_app(
        &self,
        app: &App,
        wanted: &Setup,
        asked: Vec<String>,
    ) -> Result<Vec<String>, Failure> {
        self.set_first_vars(app, wanted)?;
        for addon in &wanted.addons {
            self.create_addon(app, new_addon(addon)?).await?;
        }
        let asked = if asked.is_empty() { &wanted.buildpacks } else { &asked };
        let known = asked.iter().map(|text| crate::buildpacks::reference(text).map_err(Failure));
        let buildpacks: Vec<String> = known.collect::<Result<_, _>>()?;
        self.inner
            .db
            .transaction(|db| db::buildpack_installation::replace(db, app.id, &buildpacks))?;
        Ok(buildpacks)
    }

    /// The first release has them.
    fn set_first_vars(&self, app: &App, wanted: &Setup) -> Result<(), Failure> {
        let secret = |name: &String| {
            let random = [Uuid::new_v4(), Uuid::new_v4()].map(|id| id.simple().to_string());
            (name.clone(), Some(random.concat()))
        };
        let given = wanted.env.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        let change = given.chain(wanted.secrets.iter().map(secret)).collect();
        let vars = config_vars::change(&ConfigVars::new(), &change, &self.inner.config.limits);
        let vars = vars.map_err(|error| Failure(format!("Config vars: {error}.")))?;
        Ok(self.inner.db.transaction(|db| db::config_var::replace(db, app.id, &vars))?)
    }

    pub(crate) async fn wait_for_build(&self, app: &App, id: Uuid) -> Result<BuildStatus, Failure> {
        loop {
            let build = self.inner.db.read(|db| db::build::find(db, app.id, &id.to_string()))?;
            let Some(build) = build else {
                return Err(Failure("The app was destroyed meanwhile.".to_owned()));
            };
            if build.status != BuildStatus::Pending {
                return Ok(build.status);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn set_first_formation(
        &self,
        app: &App,
        formation: &[(ProcessType, Option<u32>, Option<String>)],
    ) -> Result<(), Failure> {
        let mut sized = Vec::new();
        for (process_type, quantity, size) in formation {
            let size = size.as_deref().map(|name| {
                DynoSize::named(name).ok_or_else(|| Failure(format!("`{name}` is no dyno size.")))
            });
            sized.push((process_type, quantity, size.transpose()?));
        }
        self.inner.db.transaction(|db| {
            for (process_type, quantity, size) in &sized {
                db::formation::introduce(db, app.id, process_type)?;
                if let Some(quantity) = quantity.filter(|_| !process_type.is_release()) {
                    db::formation::set(db, app.id, process_type, quantity)?;
                }
                if let Some(size) = size {
                    db::formation::resize(db, app.id, process_type, *size)?;
                }
            }
            Ok(())
        })?;
        self.changed();
        Ok(())
    }

    /// Runs a script in a dyno of its own. Gives its status, and what it wrote.
    async fn postdeploy(&self, app: &App, command: &str) -> Result<(i32, String), Failure> {
        let none = || Failure("There is no release for the postdeploy script.".to_owned());
        let running = self.running(app.id)?.ok_or_else(none)?;
        let name = DynoName::new(ProcessType::run(), 1);
        let (release, slug) = (&running.release, &running.slug);
        let mut spec = self.dyno_spec(app, name, command, (release, slug), None);
        spec.times.run = Some(millis(self.inner.config.limits.release_phase));
        self.say(&app.name, "run.1", format!("Starting process with command `{command}`"));
        let mut output = String::new();
        let on_line = |line: &str| {
            if output.len() + line.len() < OUTPUT {
                output.push_str(line);
                output.push('\n');
            }
        };
        let tree = Some(slug.tree.clone());
        let ending = self.run_once(spec, tree, Role::ReleasePhase, on_line).await;
        let status = match ending {
            Ending::Exited(status) => status,
            Ending::OutOfTime | Ending::OverLimit(_) | Ending::NotLaunched { .. } => 1,
        };
        Ok((status, output))
    }

    /// Says of what an earlier server did not finish that it has failed.
    pub(crate) fn recover_setups(&self) {
        let why = "The server was stopped meanwhile.";
        let now = clock::now();
        if let Err(error) =
            self.inner.db.transaction(|db| db::app_setup::fail_pending(db, why, now))
        {
            tracing::error!(?error, "apps that were being set up could not be told");
        }
    }
}

fn new_addon(wanted: &SetupAddon) -> Result<NewAddOn, Failure> {
    let name = wanted.name.as_deref().map(str::parse).transpose();
    let name = name.map_err(|error| Failure(format!("{error}.")))?;
    Ok(NewAddOn {
        plan: wanted.plan.clone(),
        attachment: NewAttachment { name, ..NewAttachment::default() },
        options: wanted.options.clone(),
        ..NewAddOn::default()
    })
}

/// The app.json of a source, in its top or in the one directory that is there. The source is a
/// stranger's: only so much of it is read, and nothing is unpacked.
pub(crate) fn app_json(source: &Path) -> Option<String> {
    let file = std::fs::File::open(source).ok()?;
    let unpacked = MultiGzDecoder::new(std::io::BufReader::new(file)).take(SEARCHED);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().ok()? {
        let Ok(entry) = entry else { return None };
        let Ok(path) = entry.path() else { continue };
        let parts: Vec<_> =
            path.components().filter(|part| *part != std::path::Component::CurDir).collect();
        let named = parts.last().is_some_and(|name| name.as_os_str() == "app.json");
        if named && parts.len() <= 2 && entry.header().entry_type().is_file() {
            let mut text = String::new();
            return entry.take(LARGEST).read_to_string(&mut text).ok().map(|_| text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(names: &[&str]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let encoder =
            flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(encoder);
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(name.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        file
    }

    #[test]
    fn an_app_json_is_found_at_the_top_of_a_source() {
        let found = |names: &[&str]| app_json(packed(names).path());
        assert_eq!(found(&["a", "./app.json"]).as_deref(), Some("./app.json"));
        assert_eq!(found(&["owl-1/a", "owl-1/app.json"]).as_deref(), Some("owl-1/app.json"));
        assert_eq!(found(&["a/b/app.json", "app.json.old"]), None);
        let junk = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(junk.path(), "no archive").unwrap();
        assert_eq!(app_json(junk.path()), None);
    }
}
