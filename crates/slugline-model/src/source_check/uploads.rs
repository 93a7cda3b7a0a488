//! What users send, written to the dyno's disk.

use crate::advice::{self, Framework};

use super::code::{Code, Line};
use super::{Cause, Finding, Said, Source};

const SCRIPTS: [&str; 6] = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

/// Where something of these is in the source, files may go on to a bucket: no evidence.
const BUCKETS: [&str; 15] = [
    "boto3",
    "aioboto3",
    "storages.backends",
    "S3Boto3Storage",
    "S3Storage",
    "google.cloud",
    "azure.storage",
    "cloudinary",
    "@aws-sdk/",
    "aws-sdk",
    "multer-s3",
    "@google-cloud/storage",
    "@azure/storage-blob",
    "minio",
    "fog-aws",
];

pub(super) fn find(source: &Source) -> Vec<Finding> {
    if source.mentions(&BUCKETS) {
        return vec![];
    }
    let mut findings = Vec::new();
    let mut look = |endings: &[&str], is_it: &dyn Fn(&Code, &Line) -> bool, framework| {
        for file in source.ending(endings) {
            let lines = file.unconditional().filter(|line| is_it(file, line));
            findings.extend(lines.map(|line| said(framework).at(file, line)));
        }
    };
    let other_storage = has_other_storage(source);
    look(&[".py"], &|_, line| !other_storage && of_django(line), Framework::Django);
    let saves = source.ending(&[".py"]).any(saves_by_folder);
    look(&[".py"], &|_, line| saves && of_flask(line), Framework::Flask);
    look(&[".py"], &of_fastapi, Framework::FastApi);
    look(&SCRIPTS, &of_node, Framework::Node);
    look(
        &["config/environments/production.rb"],
        &|_, line| of_active_storage(source, line),
        Framework::Rails,
    );
    look(&[".rb"], &of_carrierwave, Framework::Rails);
    look(&[".php"], &|_, line| of_php(line), Framework::Laravel);
    findings
}

fn said(framework: Framework) -> Said {
    Said {
        cause: Cause::Uploads,
        why:
            "What users send is written to the dyno's disk: it is gone when the dyno stops, and no \
              other dyno has it."
                .to_owned(),
        advice: advice::uploads(framework),
    }
}

fn of_django(line: &Line) -> bool {
    let Some(value) = line.value_of("MEDIA_ROOT") else { return false };
    !value.is_empty() && !matches!(value, "\"\"" | "''" | "None") && !in_temporary(value)
}

fn in_temporary(value: &str) -> bool {
    ["/tmp", "tempfile", "tmpdir(", "Dir.tmpdir", "sys_get_temp_dir"]
        .iter()
        .any(|t| value.contains(t))
}

/// A storage of one's own, by whatever name.
fn has_other_storage(source: &Source) -> bool {
    let lines = source.ending(&[".py"]).flat_map(|file| &file.lines);
    let mut values = lines.filter_map(|line| line.value_of("DEFAULT_FILE_STORAGE"));
    values.any(|value| !value.contains("FileSystemStorage"))
}

fn of_flask(line: &Line) -> bool {
    let Some((key, value)) = line.text.split_once('=') else { return false };
    let key = key.trim();
    let is_key =
        key == "UPLOAD_FOLDER" || (key.contains("config[") && key.contains("UPLOAD_FOLDER"));
    is_key && !value.starts_with('=') && !in_temporary(value) && !value.contains("environ")
}

fn saves_by_folder(file: &Code) -> bool {
    file.lines.iter().any(|line| line.names(".save(").is_some() || line.bare.contains(".save("))
        && file.mentions(&["UPLOAD_FOLDER"])
}

/// A file that is opened to be written where files are taken.
fn of_fastapi(file: &Code, line: &Line) -> bool {
    let takes = file.mentions(&["UploadFile"]);
    let Some(at) = line.names("open(").filter(|_| takes) else { return false };
    let call = &line.text[at..];
    let writes = ["\"wb\"", "'wb'", "\"wb+\"", "'wb+'"].iter().any(|mode| call.contains(mode));
    writes && !in_temporary(call)
}

fn of_node(file: &Code, line: &Line) -> bool {
    if let Some(at) = line.names("multer.diskStorage(") {
        return !in_temporary(&file.from(line, at, 6));
    }
    if let Some(at) = line.names("multer(") {
        let call = file.from(line, at, 3);
        let call = call.split(')').next().unwrap_or_default();
        return call.contains("dest:") && !in_temporary(call);
    }
    let moves = line.bare.contains(".mv(") && file.mentions(&["express-fileupload"]);
    moves && !in_temporary(&line.text)
}

/// The service of production, if it is a disk and something is attached.
fn of_active_storage(source: &Source, line: &Line) -> bool {
    let Some((_, name)) = line.text.split_once("config.active_storage.service") else {
        return false;
    };
    let name = name.trim().trim_start_matches('=').trim();
    let Some(name) = name.strip_prefix(':') else { return false };
    let attaches = ["has_one_attached", "has_many_attached", "has_rich_text"];
    is_disk(source, name) && source.ending(&[".rb"]).any(|file| file.mentions(&attaches))
}

fn is_disk(source: &Source, name: &str) -> bool {
    let Some(services) = source.file("config/storage.yml") else { return name == "local" };
    let mut of_this =
        services.lines.iter().skip_while(|line| line.text.trim() != format!("{name}:"));
    let block = of_this.by_ref().skip(1).take_while(|line| line.text.starts_with([' ', '\t']));
    block.into_iter().any(|line| line.text.trim() == "service: Disk")
}

fn of_carrierwave(file: &Code, line: &Line) -> bool {
    let text = line.text.trim();
    let in_uploader = file.mentions(&["CarrierWave::Uploader::Base", "CarrierWave.configure"]);
    in_uploader && (text == "storage :file" || text == "config.storage = :file")
}

/// Files that come with a request, and Laravel's local disks where they are named.
fn of_php(line: &Line) -> bool {
    let moved = line.names("move_uploaded_file(").is_some_and(|at| !in_temporary(&line.text[at..]));
    let stores = line.bare.contains("->store(") || line.bare.contains("->storeAs(");
    let named = ["'public'", "\"public\"", "'local'", "\"local\""];
    moved || (stores && named.iter().any(|disk| line.text.contains(disk)))
}
